"""The head of an application's answer: CGI header fields (RFC 3875 section 6), or a status line first (NPH).

What frames the message on our side is pulled out here and never reaches the client as the application wrote
it: Content-Length, Transfer-Encoding, Connection and the fields it names. What an application gets wrong
harmlessly (an invalid field) is skipped with a note; what makes the answer ambiguous is a ProtocolError.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from appliance.config.pools import Protocol
from appliance.gateway.errors import ProtocolError

Header = tuple[bytes, bytes]

LARGEST_HEAD = 65536
"""Octets an application may send before its first empty line, as lighttpd."""

_INTERIM_HEADS = 8  # 1xx heads before the real one
_NOTES = 16
_LINES_KEPT = 1024
_LONGEST_LINE_KEPT = 128

_find_end = re.compile(rb"\n\r?\n").search
_is_token = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_has_control = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search
_status_line = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+(\d{3})(?:[ \t]|$)").match
_status_value = re.compile(rb"(\d{3})(?:[ \t]|$)").match

# Hop by hop (RFC 9110 section 7.6.1), or the front's own to say: it sends one Date and one Server.
_DROPPED = frozenset(
    (
        b"date",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"server",
        b"te",
        b"trailer",
        b"upgrade",
    )
)
_SENDFILE = {  # the older two are FastCGI's only, as in lighttpd
    "fastcgi": frozenset((b"x-sendfile", b"x-lighttpd-send-file", b"x-sendfile2")),
    "scgi": frozenset((b"x-sendfile",)),
}
_NO_SENDFILE: frozenset[bytes] = frozenset()
# Fields whose lines are the same from answer to answer.
_REPEATING = frozenset(
    (
        b"accept-ranges",
        b"cache-control",
        b"content-encoding",
        b"content-language",
        b"content-security-policy",
        b"content-type",
        b"expires",
        b"pragma",
        b"referrer-policy",
        b"strict-transport-security",
        b"vary",
        b"x-content-type-options",
        b"x-frame-options",
        b"x-powered-by",
        b"x-xss-protection",
    )
)


def _end(text: bytes | bytearray, searched: int) -> tuple[int, int] | None:
    """Where the last line of the head ends and where the body begins, if that has come."""
    if not searched and text.startswith((b"\n", b"\r\n")):
        return 0, text.index(b"\n") + 1
    found = _find_end(text, searched)
    return found.span() if found else None


@dataclass(slots=True)
class AnswerHead:
    """What an application says before the body. `headers` are for the client, the rest is for us."""

    status: int
    headers: list[Header]
    content_length: int | None  # octets; None: not said, or not to be believed
    # The value of X-Sendfile, where the pool allows it: the body is to be thrown away.
    sendfile: bytes | None = None
    ranged: bool = False  # it is one of X-Sendfile2: paths with ranges, several fields joined
    streaming: bool = False  # the application wants every piece to go out at once
    chunked: bool = False  # the body comes in the chunked coding: `chunks.Decoder`
    upgrade: bytes = b""  # the protocol that a 101 changes to
    close: bool = False  # the application asks for the client's connection to be closed


class HeadParser:
    """Finds and reads the head of one answer. Once `feed` gave it, `rest` is the beginning of the body."""

    __slots__ = ("_begun", "_sendfile", "interim", "may_switch", "notes", "rest")

    def __init__(self, sendfile: bool = False, protocol: Protocol = "fastcgi") -> None:
        """`sendfile`: x-sendfile is enabled; otherwise the fields go to the client as in lighttpd."""
        self.may_switch = False  # the client asked for another protocol, and 101 with Upgrade is an answer
        self._sendfile = _SENDFILE[protocol] if sendfile else _NO_SENDFILE
        self.reset()

    def reset(self) -> None:
        """Be ready for another answer."""
        self._begun = bytearray()
        self.rest = b""
        self.interim: list[AnswerHead] = []  # 103 and the like, in order
        self.notes: list[str] = []  # for the log: what was skipped

    def feed(self, chunk: bytes) -> AnswerHead | None:
        """Take more of the answer; the head once it is complete. Raises ProtocolError, also beyond 64 KiB."""
        text: bytes | bytearray = chunk
        searched = 0
        if self._begun:
            # An end that reaches back into what was searched before is at most three octets long.
            searched = max(0, len(self._begun) - 2)
            self._begun += chunk
            text = self._begun
        while (end := _end(text, searched)) is not None:
            self._limit(end[0])
            head = self._read(bytes(text[: end[0]]))
            text = bytes(text[end[1] :])
            if head.status >= 200 or (head.status == 101 and self.may_switch and head.upgrade):
                self._begun = bytearray()
                self.rest = text
                return head
            if head.status <= 101:
                raise ProtocolError(
                    f"the application answered with status {head.status}, which only a web server may send"
                )
            if len(self.interim) >= _INTERIM_HEADS:
                raise ProtocolError(f"the application sent more than {_INTERIM_HEADS} interim (1xx) answers")
            self.interim.append(head)
            searched = 0
        self._limit(len(text))
        if text is not self._begun:
            self._begun = bytearray(text)
        return None

    def _limit(self, size: int) -> None:
        if size > LARGEST_HEAD:
            raise ProtocolError(
                f"the header of the application's answer is longer than {LARGEST_HEAD} octets"
            )

    def _note(self, text: str) -> None:
        if len(self.notes) < _NOTES:
            self.notes.append(text)

    def _read(self, text: bytes) -> AnswerHead:
        """The head whose lines are `text`, without the last line's end."""
        headers: list[Header] = []
        head = AnswerHead(0, headers, None)
        lines = text.split(b"\n")
        first = lines[0]
        if first.startswith(b"HTTP/"):
            matched = _status_line(first.rstrip(b"\r"))
            if matched is None or (status := int(matched[1])) < 100:
                raise ProtocolError(
                    f"the application's answer begins with the malformed status line {first[:80]!r}"
                )
            head.status = status
            del lines[0]
        elif first and b":" not in first:
            raise ProtocolError(
                f"the application's answer begins with {first[:80]!r}, which is no header field"
            )
        named: set[bytes] = set()
        length: bytes | None = None
        located = False
        for line in lines:
            known = _lines.get(line)
            if known is not None:
                if isinstance(known, int):
                    head.status = known
                else:
                    headers.append(known)
                continue
            if not line:
                continue  # an answer without any field
            name, colon, value = line.partition(b":")
            value = value.strip(b" \t\r")
            if not colon or not _is_token(name) or _has_control(value):
                self._note(f"the application sent the invalid header field {line[:80]!r}, skipped")
                continue
            lower = name.lower()
            if lower == b"status":
                matched = _status_value(value)
                if matched is None or (status := int(matched[1])) < 100:
                    raise ProtocolError(f"the application answered with the malformed status {value[:80]!r}")
                head.status = status
                _remember(line, status)
            elif lower == b"content-length":
                length = value if length is None else length + b"," + value
            elif lower == b"transfer-encoding":
                if value.lower() != b"chunked" or head.chunked:
                    raise ProtocolError(
                        f"the application used the transfer coding {value[:80]!r}, only chunked is possible"
                    )
                head.chunked = True
            elif lower == b"connection":
                options = {option.strip() for option in value.lower().split(b",")}
                head.close = head.close or b"close" in options
                named |= options
            elif lower in _DROPPED:
                if lower == b"upgrade":
                    head.upgrade = value
            elif lower in self._sendfile:
                _send_instead(head, lower, value)
            elif value or lower[:9] == b"variable-":  # other empty fields are dropped, as lighttpd does
                header = (name, value)
                headers.append(header)
                if lower == b"location":
                    located = True
                elif (lower == b"content-type" and value[:17].lower() == b"text/event-stream") or (
                    lower == b"x-accel-buffering" and value.lower() == b"no"
                ):
                    head.streaming = True
                elif lower in _REPEATING:
                    _remember(line, header)
        if named:
            head.headers = [header for header in headers if header[0].lower() not in named]
        if not head.status:
            head.status = 302 if located else 200
        if length is not None:
            self._content_length(head, length)
        return head

    def _content_length(self, head: AnswerHead, value: bytes) -> None:
        """RFC 9110 section 8.6: equal repetitions count once, anything else is ambiguous."""
        text = value
        if b"," in value:
            text, *others = (part.strip(b" \t") for part in value.split(b","))
            if any(other != text for other in others):
                text = b""
        if not text.isdigit() or len(text) > 18:
            raise ProtocolError(
                f"the application sent the Content-Length {value[:80]!r}, which is not one number"
            )
        # The coding overrides the length (RFC 9112 section 6.3), and a file has its own.
        if not head.chunked and head.sendfile is None:
            head.content_length = int(text)


def _send_instead(head: AnswerHead, name: bytes, value: bytes) -> None:
    """One of the X-Sendfile fields: X-Sendfile2 counts before the others, the first of these before the rest.

    lighttpd reads one X-Sendfile2 only; its documentation allows several.
    """
    if name != b"x-sendfile2":
        if head.sendfile is None:
            head.sendfile = value
    elif value:
        head.sendfile = head.sendfile + b", " + value if head.ranged and head.sendfile else value
        head.ranged = True


_lines: dict[bytes, Header | int] = {}  # lines seen before: a field, or the status they say


def _remember(line: bytes, meaning: Header | int) -> None:
    """Spare the next answer a second look at the same line; forgotten all at once when there are too many."""
    if len(line) <= _LONGEST_LINE_KEPT:
        if len(_lines) >= _LINES_KEPT:
            _lines.clear()
        _lines[line] = meaning
