"""One function for each reader. It gets octets and the places where they are cut into pieces; it raises
AssertionError if the result depends on the cuts or breaks a promise, and lets every exception through that is
not one of the declared classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from appliance.gateway import chunks, records, scgi, sendfile
from appliance.gateway.answer import HeadParser
from appliance.gateway.errors import ProtocolError, RequestRefused
from appliance.http.body import BadBody, ChunkedBody, LengthBody
from appliance.http.head import BadRequest, find_head, parse_head
from appliance.http.request import Endpoint
from appliance.http.target import BadTarget, parse_target

Cuts: TypeAlias = Sequence[int]
Target: TypeAlias = Callable[[bytes, Cuts], None]

ENDPOINT = Endpoint("http", "127.0.0.1:80", "192.0.2.1", 4711, "127.0.0.1", 80)
LIMIT = 8192
REFUSED = "refused"


def pieces(data: bytes, cuts: Cuts) -> Iterator[bytes]:
    """`data` in pieces of those sizes, again and again; no cuts: whole."""
    position = turn = 0
    while position < len(data):
        size = max(1, cuts[turn % len(cuts)]) if cuts else len(data)
        yield data[position : position + size]
        position += size
        turn += 1


def both(read: Callable[[bytes, Cuts], object], data: bytes, cuts: Cuts) -> None:
    """Whole and in pieces it is the same."""
    whole, parts = read(data, ()), read(data, cuts)
    assert whole == parts, f"{data!r} whole: {whole}, in pieces of {cuts}: {parts}"


def fastcgi(data: bytes, cuts: Cuts) -> None:
    """Records of an application."""

    def read(data: bytes, cuts: Cuts) -> object:
        decoder = records.Decoder()
        try:
            for piece in pieces(data, cuts):
                decoder.feed(piece)
        except ProtocolError:
            return REFUSED
        out, complaints = b"".join(decoder.stdout), b"".join(decoder.stderr)
        assert len(out) + len(complaints) <= len(data)
        assert all(decoder.stdout) and all(decoder.stderr) and len(decoder.notes) <= 16
        state = (decoder.ended, decoder.idle, decoder.app_status, decoder.protocol_status)
        return out, complaints, state, decoder.values, decoder.notes

    both(read, data, cuts)


def answer_head(data: bytes, cuts: Cuts) -> None:
    """The head of an answer, and what comes after it."""

    def read(data: bytes, cuts: Cuts) -> object:
        parser = HeadParser(sendfile=True)
        head, rest = None, b""
        try:
            for piece in pieces(data, cuts):
                if head is not None:
                    rest += piece
                elif (head := parser.feed(piece)) is not None:
                    rest = parser.rest
        except ProtocolError:
            return REFUSED
        for known in (*parser.interim, *((head,) if head is not None else ())):
            assert 100 <= known.status <= 999
            for name, value in known.headers:
                assert name and not set(b"\r\n\0") & set(name + value), "a header that splits the answer"
                assert name.lower() not in (
                    b"connection",
                    b"transfer-encoding",
                    b"content-length",
                    b"upgrade",
                )
        return head, rest, parser.interim, parser.notes

    both(read, data, cuts)


def answer_chunks(data: bytes, cuts: Cuts) -> None:
    """A chunked body of an application."""

    def read(data: bytes, cuts: Cuts) -> object:
        decoder = chunks.Decoder()
        try:
            body = b"".join(b"".join(decoder.feed(piece)) for piece in pieces(data, cuts))
        except ProtocolError:
            return REFUSED
        assert len(body) <= len(data)
        return body, decoder.ended

    both(read, data, cuts)


def request_body(data: bytes, cuts: Cuts) -> None:
    """A chunked body, and one of a known length, of a client; what comes after it is the next request."""

    def read(data: bytes, cuts: Cuts) -> object:
        found: list[object] = []
        for body in (ChunkedBody(), LengthBody(len(data) // 2)):
            kept, rest = b"", b""
            try:
                for piece in pieces(data, cuts):
                    if body.complete:
                        rest += piece
                        continue
                    out, rest = body.feed(piece)
                    kept += b"".join(out)
            except BadBody:
                found.append(REFUSED)
                continue
            assert len(kept) + len(rest) <= len(data)
            found.append((kept, rest, body.complete))
        return found

    both(read, data, cuts)


def request_head(data: bytes, cuts: Cuts) -> None:
    """The head of a request, as `http.connection` reads it."""

    def read(data: bytes, cuts: Cuts) -> object:
        buffer, length, refused = b"", 0, 0
        for piece in pieces(data, cuts):
            buffer += piece
            try:
                length = find_head(buffer, LIMIT)
            except BadRequest as error:
                refused = error.status
                break
            if length > 0:
                break
            buffer = buffer[-length:]
        if refused or length <= 0:
            return None
        try:
            request = parse_head(buffer[:length], ENDPOINT)
        except BadRequest as error:
            assert 400 <= error.status <= 505
            return error.status
        assert request.path == "*" or request.path.startswith("/")
        assert ".." not in request.path.split("/") and "\0" not in request.path
        assert request.content_length is None or request.content_length >= 0  # None: chunked
        return (
            request.method,
            request.path,
            request.query,
            request.headers,
            request.host,
            request.content_length,
        )

    whole, parts = read(data, ()), read(data, cuts)
    # One may be refused before its end has come, which the other never sees as an error of its own.
    assert whole == parts or None in (whole, parts), f"{data!r} whole: {whole}, in pieces: {parts}"


def target(data: bytes, cuts: Cuts) -> None:
    """The target of a request line."""
    try:
        found = parse_target(data)
    except BadTarget as error:
        assert 400 <= error.status < 500
        return
    assert found.path == "*" or found.path.startswith("/")
    assert ".." not in found.path.split("/"), "out of the document root"
    assert "\0" not in found.path


def scgi_answer(data: bytes, cuts: Cuts) -> None:
    """SCGI: the connection's end is the answer's."""
    decoder = scgi.Decoder()
    for piece in pieces(data, cuts):
        decoder.feed(piece)
    decoder.eof()
    assert b"".join(decoder.stdout) == data and decoder.ended


def pairs(data: bytes, cuts: Cuts) -> None:
    """Name-value pairs, and what SCGI makes of them."""
    try:
        found = records.decode_pairs(data)
    except ProtocolError:
        return
    again = b"".join(records.pair(name, value) for name, value in found)
    assert records.decode_pairs(again) == found
    try:
        head = scgi.request_head(again)
    except RequestRefused:
        assert b"\0" in again
        return
    length, _, rest = head.partition(b":")
    assert len(rest) == int(length) + 1 and rest.endswith(b",")


def send_file(data: bytes, cuts: Cuts) -> None:
    """Values of X-Sendfile and X-Sendfile2: never out of the docroot."""
    for docroots in ((), ("/srv/pub", "/var/www/")):
        found = sendfile.resolve(data, docroots)
        parts = sendfile.pieces(data, docroots)
        named = [] if isinstance(found, sendfile.Refusal) else [found]
        if isinstance(parts, sendfile.Refusal):
            assert parts.status in (403, 404, 502)
        else:
            assert 0 < len(parts) <= sendfile.MOST_PIECES
            named += [part.path for part in parts]
            for part in parts:
                place = part.within(1000)
                assert place is None or (place[0] >= 0 and place[1] >= 0 and sum(place) <= 1000)
        for path in named:
            assert path.startswith("/") and "\0" not in path
            assert not {".", ".."} & set(path.split("/"))
            assert not docroots or path.startswith(("/srv/pub/", "/var/www/")), path


TARGETS: dict[str, Target] = {
    "fastcgi": fastcgi,
    "answer-head": answer_head,
    "answer-chunks": answer_chunks,
    "request-body": request_body,
    "request-head": request_head,
    "target": target,
    "scgi-answer": scgi_answer,
    "pairs": pairs,
    "send-file": send_file,
}
