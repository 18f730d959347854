"""Files, aliases, redirects, ranges and conditions: the same answers as a real lighttpd, for every request of
`requests.txt`. Where we differ on purpose it is listed here, with the reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import pytest

from tests.box import Box
from tests.http_client import Answer, Wire
from tests.lighttpd import Lighttpd
from tests.static.corpus import Case, cases, configuration, parse, plant
from tests.static.subject import Handlers

COMPARED = ("Location", "Content-Type", "Content-Length", "Content-Range", "Last-Modified")

_BOUNDARY = re.compile(rb"--[0-9A-Za-z]{13,}")


class Subject(Protocol):
    """What is compared with the oracle."""

    def ask(self, raw: bytes) -> Answer: ...

    def end(self) -> None: ...


class Served:
    """The whole server, over a socket."""

    def __init__(self, directory: Path, text: str) -> None:
        self.box = Box(directory).serve(text)

    def ask(self, raw: bytes) -> Answer:
        with self.box.wire() as wire:
            return wire.send(raw).answer(raw.split(b" ", 1)[0].decode())

    def end(self) -> None:
        self.box.end()


class Pair:
    """The oracle and what is under test, on one tree and one configuration."""

    def __init__(self, base: Path, text: str, ours: Subject) -> None:
        self.ours = ours
        self.lighttpd = Lighttpd(base / "oracle").serve(text)
        self.validators: dict[str, tuple[str, str]] = {}
        probe = parse("GET /a.txt")
        for name, ask in (("lighttpd", self.ask_lighttpd), ("ours", self.ask_ours)):
            answer = ask(probe)
            self.validators[name] = (answer.header("ETag") or "", answer.header("Last-Modified") or "")

    def ask_lighttpd(self, case: Case) -> Answer:
        with Wire(self.lighttpd.address) as wire:
            return wire.send(case.raw(*self.validators.get("lighttpd", ()))).answer(case.method)

    def ask_ours(self, case: Case) -> Answer:
        return self.ours.ask(case.raw(*self.validators.get("ours", ())))

    def end(self) -> None:
        self.lighttpd.end()
        self.ours.end()


@pytest.fixture(scope="module", params=["handlers", "server"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """In process every fault is a traceback here; over a socket the front's part is compared as well."""
    base = tmp_path_factory.mktemp("static")
    plant(base)
    text = configuration(base)
    both = Pair(base, text, Handlers(text) if request.param == "handlers" else Served(base / "box", text))
    try:
        yield both
    finally:
        both.end()


def essence(answer: Answer) -> dict[str, object]:
    """What must agree. Pages of errors are each server's own; so is the boundary between parts."""
    fields: dict[str, object] = {"status": answer.status}
    if answer.status in (200, 206, 304):
        for name in COMPARED:
            value = answer.header(name)
            if value is not None and value.startswith("multipart/byteranges"):
                value = "multipart/byteranges"
                answer = Answer(206, "", "", answer.headers, _without_boundary(answer.body))
            fields[name] = value
        fields["body"] = answer.body
        if fields["Content-Type"] == "multipart/byteranges":
            fields["Content-Length"] = len(answer.body)
    else:
        fields["Location"] = answer.header("Location")
    return fields


def _without_boundary(body: bytes) -> bytes:
    boundary = body.split(b"\r\n", 1)[0]
    assert _BOUNDARY.fullmatch(boundary), body[:80]
    return body.replace(boundary, b"--boundary")


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.line)
@pytest.mark.holds(
    "server.document-root",
    "index-file.names",
    "mimetype.assign",
    "url.access-deny",
    "static-file.exclude-extensions",
    "alias.url",
    "static-file.etags",
)
def test_same_answer(pair: Pair, case: Case) -> None:
    assert essence(pair.ask_ours(case)) == essence(pair.ask_lighttpd(case))


# Each line: the request, lighttpd's status, ours, why.
DIFFERENT = [
    ('GET /a.txt | If-Match: "x"', 200, 412, "RFC 9110 section 13.1.1"),
    ("GET /a.txt | If-Match: W/{etag}", 200, 412, "RFC 9110 section 13.1.1: strong comparison"),
    ("GET /a.txt | If-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT", 200, 412, "RFC 9110 section 13.1.4"),
    (
        "GET /noext | If-None-Match: *",
        200,
        304,
        "a file without an entry in mimetype.assign has validators too",
    ),
    (
        "GET /a.txt | Range: bytes=0-99999999999999999999",
        416,
        206,
        "a last position beyond any number is the end",
    ),
    (
        "GET /a.txt | Range: bytes=-99999999999999999999",
        416,
        206,
        "a suffix longer than any number is everything",
    ),
    (
        "GET /big.bin | Range: bytes=" + ",".join(f"{n}000-{n}001" for n in range(11)),
        206,
        200,
        "more pieces than we send: lighttpd drops the eleventh, we send the file",
    ),
    ("GET /a.txt?a=%0a", 400, 200, "the query is the application's: a form with line breaks has such"),
    ("GET /a.txt?%ff", 400, 200, "the query is the application's: not every form is UTF-8"),
    ("GET /\\xc3\\xbcml\\xc3\\xa4ut.txt", 200, 400, "RFC 3986: octets beyond ASCII are encoded"),
    ("GET http://box.test", 400, 200, "RFC 9112 section 3.2.2: an empty path is /"),
    ("GET http://other.test/a.txt", 400, 200, "RFC 9112 section 3.2.2: the target's host replaces Host"),
    ("GET /gonebeside/f.txt", 200, 404, "an alias never leads beside its target"),
]


@pytest.mark.parametrize(("line", "theirs", "ours", "reason"), DIFFERENT, ids=lambda value: str(value)[:40])
def test_different_on_purpose(pair: Pair, line: str, theirs: int, ours: int, reason: str) -> None:
    case = parse(line)
    assert (pair.ask_lighttpd(case).status, pair.ask_ours(case).status) == (theirs, ours), reason


STRICT = """
server.follow-symlink = "disable"
static-file.disable-pathinfo = "enable"
static-file.etags = "disable"
server.range-requests = "disable"
"""


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    base = tmp_path_factory.mktemp("strict")
    plant(base)
    text = configuration(base) + STRICT
    both = Pair(base, text, Handlers(text))
    try:
        yield both
    finally:
        both.end()


@pytest.mark.parametrize(
    "line",
    [
        "GET /a.txt",
        "GET /a.txt/info",
        "GET /a.txt/",
        "GET /link.txt",
        "GET /outside",
        "GET /outside/",
        "GET /outside/f.txt",
        "GET /index",
        "GET /index/",
        "GET /missing",
        "GET /al/f.txt",
        "GET /one",
        "GET /fifo",
        "GET /x.php/info",
        "GET /a.txt | Range: bytes=0-4",
        "GET /a.txt | If-Modified-Since: {date}",
        "POST /link.txt | Content-Length: 0",
    ],
)
@pytest.mark.holds(
    "server.follow-symlink", "static-file.disable-pathinfo", "static-file.etags", "server.range-requests"
)
def test_strict_options(strict: Pair, line: str) -> None:
    case = parse(line)
    ours, theirs = strict.ask_ours(case), strict.ask_lighttpd(case)
    assert essence(ours) == essence(theirs)
    assert ours.header("ETag") is None
    assert ours.header("Accept-Ranges") is None


MANY = {f".x{number}": f"type/x{number}" for number in range(12)} | {
    ".gz": "application/gzip",
    ".tar.gz": "application/x-tgz",
    "txt": "text/plain",
    "readme": "text/x-readme",
    ".HTML": "text/html",
    "": "type/other",
}


@pytest.mark.parametrize("order", ["forward", "backward"])
@pytest.mark.parametrize("entries", [len(MANY), 15])
@pytest.mark.holds("mimetype.assign")
def test_media_types(tmp_path: Path, entries: int, order: str) -> None:
    """Both of lighttpd's searches: in order up to 15 entries, by the longest suffix beyond."""
    table = list(MANY.items())[-entries:]
    if order == "backward":
        table.reverse()
    plant(tmp_path)
    for name in ("a.x3", "b.x3.gz", "x.tar.gz", "tar.gz", "README", "my.readme", "p.HtMl", "txt", "plaintxt"):
        (tmp_path / "root" / name).write_text(name)
    text = f'server.document-root = "{tmp_path}/root"\nmimetype.assign = ('
    text += ", ".join(f'"{suffix}" => "{kind}"' for suffix, kind in table) + ")\n"
    pair = Pair(tmp_path, text, Handlers(text))
    try:
        for path in sorted((tmp_path / "root").iterdir()):
            if path.is_file():
                case = parse(f"GET /{quote(path.name)}")
                expected, got = pair.ask_lighttpd(case), pair.ask_ours(case)
                assert got.header("Content-Type") == expected.header("Content-Type"), path.name
    finally:
        pair.end()
