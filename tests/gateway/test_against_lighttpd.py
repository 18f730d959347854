"""Our CGI environment and our reading of answers against a real lighttpd, octet by octet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.config import PoolDefinition
from appliance.gateway.answer import HeadParser
from appliance.gateway.environment import Parameters, Split, split_physical, split_prefix
from appliance.gateway.errors import ProtocolError
from appliance.gateway.records import decode_pairs
from appliance.gateway.sendfile import Refusal, resolve
from appliance.http.head import find_head, parse_head
from appliance.http.request import Endpoint, Request
from tests.gateway.responder import Responder
from tests.http_client import Answer
from tests.lighttpd import Lighttpd

# Key of a rule, its host's options in lighttpd's language, and ours.
RULES: dict[str, tuple[str, dict[str, Any]]] = {
    "/pre": ('"check-local" => "disable"', {}),
    "/dir/": ('"check-local" => "disable"', {}),
    "/rooted": ('"check-local" => "disable", "docroot" => "/elsewhere/"', {"docroot": "/elsewhere/"}),
    "/strip": (
        '"check-local" => "disable", "strip-request-uri" => "/strip/"',
        {"strip_request_uri": "/strip/"},
    ),
    ".suffix": ('"check-local" => "disable"', {}),
    ".php": ("", {"check_local": True}),
    ".broken": ('"broken-scriptfilename" => "enable"', {"check_local": True, "broken_scriptfilename": True}),
    "/": ('"check-local" => "disable", "fix-root-scriptname" => "enable"', {"fix_root_scriptname": True}),
}

LONG = b"v" * 300

REQUESTS: list[tuple[str, bytes]] = [
    ("/pre", b"GET /pre/x/y HTTP/1.1\r\nHost: h.example\r\n\r\n"),
    ("/pre", b"GET /prefixmore HTTP/1.1\r\nHost: h.example:8080\r\n\r\n"),
    ("/pre", b"GET /pre/x%20y/%C3%A4?a=b&c=%20d HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n"),
    ("/pre", b"GET /pre//a/../b/./c/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("/pre", b"GET /pre? HTTP/1.1\r\nHost: h\r\n\r\n"),
    (
        "/pre",
        b"HEAD /pre/head HTTP/1.1\r\nHost: h\r\nIf-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n",
    ),
    ("/pre", b"OPTIONS /pre HTTP/1.1\r\nHost: [::1]:8\r\n\r\n"),
    ("/pre", b"GET /pre HTTP/1.0\r\nHost: h\r\n\r\n"),
    ("/pre", b"GET /pre HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nKeep-Alive: 30\r\n\r\n"),
    (
        "/pre",
        b"GET /pre HTTP/1.1\r\nHost: h\r\nProxy: http://evil/\r\nX-A: 1\r\nX-A: 2\r\nX-B: b\r\n"
        b"x-a: 3\r\n\r\n",
    ),
    (
        "/pre",
        b"GET /pre HTTP/1.1\r\nHost: h\r\nCookie: a=1\r\nCookie: b=2\r\nX-Empty:\r\nX-Blank: \t \r\n\r\n",
    ),
    ("/pre", b"GET /pre HTTP/1.1\r\nHost: h\r\nAuthorization: Basic am9lOmpvZQ==\r\nTE: trailers\r\n\r\n"),
    ("/pre", b"GET /pre HTTP/1.1\r\nhOsT: h\r\nx.dotted~name!: 1\r\nX-Odd_Name: 2\r\n\r\n"),
    ("/pre", b"GET /pre HTTP/1.1\r\nHost: h\r\nX-Latin: \xe4\xf6\xfc\r\nX-Long: " + LONG + b"\r\n\r\n"),
    ("/pre", b"GET /pre HTTP/1.1\r\nHost: h\r\nContent-Type: text/odd; a=b\r\nContent-Encoding: x\r\n\r\n"),
    ("/pre", b"GET /pre HTTP/1.1\r\nHost: h\r\nX-Spaces: \t a  b\r\nUser-Agent: u (v; w)\r\n\r\n"),
    ("/pre", b"POST /pre/p HTTP/1.1\r\nHost: h\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\nhello"),
    ("/pre", b"POST /pre/p HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nX-After: 1\r\n\r\n"),
    (
        "/pre",
        b"PUT /pre/p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nX-After: 1\r\n\r\n"
        b"3\r\nabc\r\n0\r\n\r\n",
    ),
    ("/pre", b"GET http://abs.example:81/pre/x HTTP/1.1\r\nX: y\r\nHost: abs.example:81\r\nZ: z\r\n\r\n"),
    ("/pre", b"GET http://abs.example/pre HTTP/1.0\r\nX: y\r\n\r\n"),
    ("/pre", b"GET /pre/%41%7e%3b;%c3%a4 HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("/pre", b"GET /pre/a%2F..%2f/b/. HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("/pre", b"GET /pre/x/.. HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("/pre", b"GET /pre/[<|>]\"\\^`{}!$&'()*+,;=:@ HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("/pre", b"GET /pre?/../x//y HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("/pre", b"GET /pre/%zz%?q HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("/pre", b"GET /pre HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nRange: bytes=0-1\r\n\r\n"),
    ("/dir/", b"GET /dir/x/y HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("/dir/", b"GET /dir/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("/rooted", b"GET /rooted/x HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("/strip", b"GET /strip/x?q HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("/strip", b"GET /strip HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("/strip", b"GET /stripper/x HTTP/1.1\r\nHost: h\r\n\r\n"),
    (".suffix", b"GET /other/a.suffix HTTP/1.1\r\nHost: h\r\n\r\n"),
    (".php", b"GET /a.php?x HTTP/1.1\r\nHost: h\r\n\r\n"),
    (".php", b"GET /a.php/x%20y/z HTTP/1.1\r\nHost: h\r\n\r\n"),
    (".broken", b"GET /b.broken/info HTTP/1.1\r\nHost: h\r\n\r\n"),
]

ROOT_REQUESTS: list[bytes] = [
    b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /x/y?q HTTP/1.1\r\nHost: h\r\n\r\n",
]


class Site:
    """lighttpd with one rule per key, all of them leading to one responder."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "root"
        self.root.mkdir()
        for name in ("a.php", "b.broken"):
            (self.root / name).write_text("not sent")
        (self.root / "files-private").mkdir()
        (self.root / "files").mkdir()
        for name in ("plain", "a b", "ä", "../files-private/secret"):
            (self.root / "files" / name).write_text(f"this is {name}")
        path = directory / "responder.sock"
        self.responder = Responder(path)
        self.lighttpd = Lighttpd(directory / "lighttpd")
        sending = f'"x-sendfile" => "enable", "x-sendfile-docroot" => ( "{self.root}/files" )'
        rules = {key: f'(( "socket" => "{path}", {options} ))' for key, (options, _) in RULES.items()}
        rules["/files"] = f'(( "socket" => "{path}", "check-local" => "disable", {sending} ))'
        root_rule = rules.pop("/")
        self.lighttpd.serve(
            f'server.document-root = "{self.root}"\nserver.tag = "oracle"\n'
            'server.modules = ("mod_setenv", "mod_fastcgi")\nmimetype.assign = ("" => "a/b")\n'
            "fastcgi.server = (" + ", ".join(f'"{key}" => {rule}' for key, rule in rules.items()) + ")\n"
            f'$HTTP["host"] == "root.example" {{ fastcgi.server = ("/" => {root_rule}) }}\n'
            'setenv.add-environment = ("remote-user" => "jöe", "X.Y" => "z")\n'
        )

    def close(self) -> None:
        self.lighttpd.end()
        self.responder.close()

    def ask(self, raw: bytes) -> tuple[Answer, tuple[str, int]]:
        """Send octets to lighttpd as they are; its answer and our own address."""
        with self.lighttpd.wire() as wire:
            name = wire.sock.getsockname()
            return wire.send(raw).answer(raw.split(b" ")[0].decode()), (name[0], name[1])

    def ours(self, key: str, raw: bytes, peer: tuple[str, int]) -> list[tuple[bytes, bytes]]:
        """The parameters that we make of a raw request."""
        size = find_head(raw, 65536)
        endpoint = Endpoint("http", f"127.0.0.1:{self.lighttpd.port}", *peer, "127.0.0.1", self.lighttpd.port)
        request = parse_head(raw[:size], endpoint)
        options = dict(RULES[key][1])
        local = bool(options.pop("check_local", False))
        definition = replace(PoolDefinition("oracle", "fastcgi", check_local=local), **options)
        length = 3 if request.content_length is None else request.content_length
        environment = {"remote-user": "jöe", "X.Y": "z"}
        encoded = Parameters(definition, "oracle").encode(
            request, self._split(definition, key, request), environment, length
        )
        return decode_pairs(encoded)

    def _split(self, definition: PoolDefinition, key: str, request: Request) -> Split:
        root = str(self.root)
        if not definition.check_local:
            return split_prefix(definition, key, request.path, root)
        name, _, rest = request.path[1:].partition("/")
        info = "/" + rest if rest else ""
        return split_physical(definition, "/" + name, info, f"{root}/{name}", root)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("oracle"))
    yield site
    site.close()


@pytest.mark.parametrize(("key", "raw"), REQUESTS, ids=[str(number) for number in range(len(REQUESTS))])
@pytest.mark.holds(
    "docroot", "check-local", "strip-request-uri", "broken-scriptfilename", "setenv.add-environment"
)
def test_environment_is_lighttpds(site: Site, key: str, raw: bytes) -> None:
    answer, peer = site.ask(raw)
    assert answer.status in (200, 206)
    assert site.ours(key, raw, peer) == site.responder.pairs


@pytest.mark.parametrize("raw", ROOT_REQUESTS)
@pytest.mark.holds("fix-root-scriptname")
def test_environment_at_the_root_is_lighttpds(site: Site, raw: bytes) -> None:
    raw = raw.replace(b"Host: h", b"Host: root.example")
    answer, peer = site.ask(raw)
    assert answer.status == 200
    assert site.ours("/", raw, peer) == site.responder.pairs


ANSWERS = [
    b"Content-Type: text/html\r\n\r\nbody",
    b"Content-Type: text/html\n\nbody",
    b"A: b\r\n\nbody",
    b"A: b\n\r\nbody",
    b"\r\nbody",
    b"\nbody",
    b"A:b\r\nC:  d  e\r\n\r\nbody",
    b"A: b\nno colon\nC: d\n\nbody",
    b": b\r\nC: d\r\n\r\nbody",
    b"A : b\r\nC: d\r\n\r\nbody",
    b"A:\r\nB: c\r\n\r\nbody",
    b"Location: \r\nA: b\r\n\r\nbody",
    b"no colon\r\n\r\nbody",
    b"Status: 404\r\n\r\nbody",
    b"Status:  201  Made\r\nA: b\r\n\r\nbody",
    b"Status: 999\r\n\r\nbody",
    b"Status: 99\r\n\r\nbody",
    b"Status: abc\r\n\r\nbody",
    b"Status: 404nope\r\n\r\nbody",
    b"HTTP/1.0 404 No\r\nA: b\r\n\r\nbody",
    b"HTTP/1.1 abc\r\nA: b\r\n\r\nbody",
    b"HTTP/1.1 404 x\r\nStatus: 200\r\n\r\nbody",
    b"Location: /x\r\n\r\n",
    b"Location: http://other/\r\nStatus: 201\r\n\r\n",
    b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX: 1\r\nX: 2\r\n\r\n",
    b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nbody",
    b"Transfer-Encoding: chunked\r\nA: b\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    b"Status: 103\r\nLink: x\r\n\r\nStatus: 404\r\nA: b\r\n\r\nbody",
    b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nStatus: 200\r\nA: b\r\n\r\nbody",
    b"X: " + b"y" * 65400 + b"\r\n\r\nbody",
    b"X: " + b"y" * 65600 + b"\r\n\r\nbody",
]
FRAMING = {"date", "server", "accept-ranges", "content-length"}


@pytest.mark.parametrize("output", ANSWERS, ids=[str(number) for number in range(len(ANSWERS))])
def test_answers_are_read_as_lighttpd_reads_them(site: Site, output: bytes) -> None:
    site.responder.output = output
    answer, _ = site.ask(b"GET /pre HTTP/1.1\r\nHost: h\r\n\r\n")
    try:
        head = HeadParser().feed(output)
    except ProtocolError:
        assert answer.status == 502
        return
    assert head is not None and head.status == answer.status
    assert [(name.decode(), value.decode()) for name, value in head.headers] == [
        header for header in answer.headers if header[0].lower() not in FRAMING
    ]


SENDFILES = [
    "{root}/files/plain",
    "{root}/files/a%20b",
    "{root}/files/%C3%A4",
    "{root}/files//./x/../plain",
    "{root}/files/../a.php",
    "{root}/files/%2e%2e/a.php",
    "{root}/files",
    "{root}/files-private/secret",
    "{root}/files/missing",
    "{root}/files/%ff",
    "/etc/passwd",
    "%00",
]


@pytest.mark.parametrize("value", SENDFILES)
@pytest.mark.parametrize("name", ["X-Sendfile", "X-LIGHTTPD-send-file"])
@pytest.mark.holds("x-sendfile", "x-sendfile-docroot")
def test_sendfile_is_resolved_as_lighttpd_does(site: Site, name: str, value: str) -> None:
    octets = value.format(root=site.root).encode()
    site.responder.output = f"{name}: ".encode() + octets + b"\r\nContent-Type: a/b\r\n\r\nnot sent"
    answer, _ = site.ask(b"GET /files HTTP/1.1\r\nHost: h\r\n\r\n")
    head = HeadParser(sendfile=True).feed(site.responder.output)
    assert head is not None and head.sendfile == octets
    found = resolve(head.sendfile, (f"{site.root}/files",))
    if isinstance(found, Refusal):
        # Outside of UTF-8 and absolute paths both refuse; lighttpd makes a path of some of it first.
        assert answer.status == found.status or (value == "%00" and answer.status == 403)
    elif Path(found).is_file():
        assert (answer.status, answer.body) == (200, Path(found).read_bytes())
    else:
        assert answer.status == 404
