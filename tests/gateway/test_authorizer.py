"""Authorizers: who is let in, what the applications behind are told, and that every failure keeps people out.

The same configuration is served by a real lighttpd, and statuses, bodies and environments are compared.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.gateway.errors import ProtocolError
from appliance.gateway.records import AUTHORIZER, RESPONDER
from appliance.handlers.authorizer import LONGEST_VARIABLES, MOST_VARIABLES, variables
from tests.box import Box
from tests.gateway.responder import Responder
from tests.http_client import Answer
from tests.lighttpd import Lighttpd
from tests.server import Server

ALLOWED = b"Variable-REMOTE_USER: joe\r\nVariable-my-thing: 1\r\nX-Other: y\r\n\r\nnobody reads this"

# Host of the request → fastcgi.server. A is the authorizer, R the responder; PRIVATE is a directory.
SITES = {
    "url": '"/pre" => (( A, "check-local" => "disable" ), ( R, "check-local" => "disable" ))',
    "apart": '"/pre/" => (( A, "check-local" => "disable" )), "/pre" => (( R, "check-local" => "disable" ))',
    "file": '"/" => (( A )), "/pre" => (( R, "check-local" => "disable" ))',
    "php": '".php" => (( A ), ( R ))',
    "root": '"/pre" => (( A, "check-local" => "disable", "docroot" => "PRIVATE" ))',
    "rootphp": '"/pre" => (( A, "check-local" => "disable", "docroot" => "PRIVATE" )), ".php" => (( R ))',
    "both": '"/pre" => (( A, "docroot" => "PRIVATE" ), ( R, "check-local" => "disable" ))',
}


class Site:
    """One configuration under two servers, with an authorizer and a responder behind both."""

    def __init__(self, directory: Path) -> None:
        root, private = directory / "root", directory / "private"
        for place, text in ((root, "public"), (private, "private")):
            (place / "pre" / "dir").mkdir(parents=True)
            for name in ("f.txt", "x.php", "index.php"):
                (place / "pre" / name).write_text(f"{text} {name}")
        self.authorizer = Responder(directory / "authorizer.sock")
        self.responder = Responder(directory / "responder.sock")
        self.private = private
        hosts = []
        for name, rules in SITES.items():
            rules = rules.replace(" A", f' "socket" => "{directory}/authorizer.sock", "mode" => "authorizer"')
            rules = rules.replace(" R", f' "socket" => "{directory}/responder.sock"')
            rules = rules.replace("PRIVATE", str(private))
            hosts.append(f'$HTTP["host"] == "{name}" {{ fastcgi.server = ( {rules} ) }}\n')
        text = (
            f'server.document-root = "{root}"\nserver.tag = "same"\nserver.modules = ("mod_fastcgi")\n'
            'mimetype.assign = (".txt" => "text/plain")\nindex-file.names = ("index.php")\n' + "".join(hosts)
        )
        self.lighttpd = Lighttpd(directory / "lighttpd").serve(text)
        self.box = Box(directory / "box").serve(text)

    def close(self) -> None:
        self.box.end()
        self.lighttpd.end()
        self.authorizer.close()
        self.responder.close()

    def ask(self, server: Server, host: str, target: str, verdict: bytes, raw: bytes = b"") -> Seen:
        """One request on its own connection."""
        self.authorizer.output = verdict
        for application in (self.authorizer, self.responder):
            application.params, application.role, application.requests = b"", 0, 0
        raw = raw or b"GET %b HTTP/1.1\r\nHost: %b\r\nCookie: a=b\r\n\r\n" % (target.encode(), host.encode())
        with server.wire() as wire:
            answer = wire.send(raw).answer(raw.split(b" ")[0].decode())
        return Seen(answer, self.authorizer, self.responder)

    def both(self, host: str, target: str, verdict: bytes = ALLOWED, raw: bytes = b"") -> Seen:
        """Ask both servers; what they did must be the same. Returns what we did."""
        theirs = self.ask(self.lighttpd, host, target, verdict, raw)
        ours = self.ask(self.box, host, target, verdict, raw)
        assert ours.summary == theirs.summary
        assert ours.environments == theirs.environments
        return ours


class Seen:
    """What came of one request."""

    def __init__(self, answer: Answer, authorizer: Responder, responder: Responder) -> None:
        self.answer = answer
        self.roles = (authorizer.role, responder.role)
        self.times = (authorizer.requests, responder.requests)
        self.body = responder.body
        self.environments = [
            [pair for pair in application.pairs if pair[0] not in (b"SERVER_PORT", b"REMOTE_PORT")]
            for application in (authorizer, responder)
        ]
        status = answer.status
        own_page = status in (404, 403) and not responder.requests and b"<title>" in answer.body
        location = answer.header("Location")
        self.summary = (status, b"" if own_page else answer.body, location, self.roles, self.times)

    def variable(self, name: bytes) -> bytes | None:
        """What the responder was told."""
        return dict(self.environments[1]).get(name)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("authorizer"))
    yield site
    site.close()


@pytest.mark.parametrize(
    ("host", "target", "status", "times"),
    [
        ("url", "/pre/x?q", 200, (1, 1)),
        ("url", "/other", 404, (0, 0)),
        ("apart", "/pre/x", 200, (1, 1)),
        ("apart", "/pre", 200, (0, 1)),
        ("file", "/pre/f.txt", 200, (1, 1)),
        ("file", "/pre/none", 404, (0, 0)),
        ("file", "/pre/dir", 301, (0, 0)),
        ("file", "/pre/dir/", 200, (1, 1)),
        ("php", "/pre/x.php", 200, (1, 1)),
        ("php", "/pre/x.php/info/more", 200, (1, 1)),
        ("php", "/pre/", 200, (1, 1)),
        ("php", "/pre/f.txt", 200, (0, 0)),
        ("root", "/pre/f.txt", 200, (1, 0)),
        ("root", "/pre/none", 404, (1, 0)),
        ("root", "/pre/dir", 301, (1, 0)),
        ("root", "/pre/dir/", 403, (1, 0)),
        ("rootphp", "/pre/x.php", 200, (1, 1)),
        ("rootphp", "/pre/x.php/info", 200, (1, 1)),
        ("rootphp", "/pre/f.txt", 200, (1, 0)),
        ("both", "/pre/f.txt", 200, (1, 1)),
        ("both", "/pre/none", 404, (0, 0)),
    ],
)
@pytest.mark.holds("mode", "docroot")
def test_allowed(site: Site, host: str, target: str, status: int, times: tuple[int, int]) -> None:
    seen = site.both(host, target)
    assert (seen.answer.status, seen.times) == (status, times)
    if times[0]:
        assert seen.roles[0] == AUTHORIZER
        told = dict(seen.environments[0])
        assert not told.keys() & {b"CONTENT_LENGTH", b"SCRIPT_NAME", b"PATH_INFO", b"PATH_TRANSLATED"}
    if times == (1, 1):
        assert seen.roles[1] == RESPONDER
        assert (seen.variable(b"REMOTE_USER"), seen.variable(b"MY_THING")) == (b"joe", b"1")
        assert seen.variable(b"HTTP_X_OTHER") is None
    if "root" in host and target == "/pre/f.txt":
        assert seen.answer.body == b"private f.txt"


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (b"Status: 200 OK\r\n\r\n", 200),
        (b"Status: 200\r\nLocation: /login\r\n\r\n", 200),
        (b"\r\n", 200),
        (b"Variable-A: 1\r\nVariable-a: 2\r\nVariable-E:\r\nVariable-x.y: z\r\nVariable-: 7\r\n\r\n", 200),
        (b"Status: 204\r\n\r\n", 204),
        (b"Status: 201 Created\r\n\r\nhello", 201),
        (b"Status: 403 Forbidden\r\nX-Why: because\r\n\r\nno entry", 403),
        (b"Status: 401\r\nWWW-Authenticate: Basic realm=x\r\n\r\nwho?", 401),
        (b"Status: 302 Found\r\nLocation: http://h/login\r\n\r\n", 302),
        (b"Status: 500\r\n\r\nbroken", 500),
    ],
)
@pytest.mark.holds("mode")
def test_verdicts(site: Site, verdict: bytes, status: int) -> None:
    seen = site.both("url", "/pre/x", verdict)
    assert seen.answer.status == status
    assert seen.times == (1, int(status == 200))
    if b"X-Why" in verdict:
        assert seen.answer.header("X-Why") == "because"
    if b"Variable-A" in verdict:
        assert [pair for pair in seen.environments[1] if pair[0] in (b"A", b"E", b"X_Y")] == [
            (b"A", b"1, 2"),
            (b"E", b""),
            (b"X_Y", b"z"),
        ]


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (b"", 502),
        (b"nonsense", 502),
        (b"Status: yes\r\n\r\n", 502),
        (b"Location: /login\r\n\r\n", 302),
        (b"Variable-A: x\r\n", 502),
        (b"".join(b"Variable-N%d: x\r\n" % number for number in range(MOST_VARIABLES + 1)) + b"\r\n", 502),
        (b"Variable-A: " + b"x" * LONGEST_VARIABLES + b"\r\n\r\n", 502),
    ],
)
def test_what_is_no_clear_yes_is_a_no(site: Site, verdict: bytes, status: int) -> None:
    # lighttpd lets everybody in for each of the first five; docs/lighttpd.md.
    seen = site.ask(site.box, "url", "/pre/x", verdict)
    assert seen.answer.status == status
    assert seen.times == (1, 0)


def test_the_application_alone_says_how_long_its_body_is(site: Site) -> None:
    verdict = b"Variable-CONTENT_LENGTH: 7\r\nVariable-SCRIPT_NAME: /told\r\n\r\n"
    seen = site.ask(site.box, "url", "/pre/x", verdict)
    lengths = [value for name, value in seen.environments[1] if name == b"CONTENT_LENGTH"]
    assert lengths == [b"0"]
    assert seen.variable(b"SCRIPT_NAME") == b"/told"  # the last one counts, as in lighttpd


def test_a_body_survives_the_authorizer(site: Site) -> None:
    """lighttpd 1.4.69 hangs here (docs/lighttpd.md)."""
    body = bytes(range(256)) * 2000
    raw = b"POST /pre/x HTTP/1.1\r\nHost: url\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    seen = site.ask(site.box, "url", "/pre/x", ALLOWED, raw)
    assert (seen.answer.status, seen.times) == (200, (1, 1))
    assert seen.body == body
    assert dict(seen.environments[0])[b"HTTP_CONTENT_LENGTH"] == b"%d" % len(body)
    assert b"CONTENT_LENGTH" not in dict(seen.environments[0])
    assert seen.variable(b"CONTENT_LENGTH") == b"%d" % len(body)
    chunked = b"POST /pre/x HTTP/1.1\r\nHost: url\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    assert site.ask(site.box, "url", "/pre/x", ALLOWED, chunked).body == b"abc"


def test_the_authorizer_is_asked_before_the_body_comes(site: Site) -> None:
    """Who is refused has sent nothing; who is let in is told to go on only then."""
    head = b"POST /pre/x HTTP/1.1\r\nHost: url\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    site.authorizer.output = b"Status: 403\r\n\r\nno entry"
    with site.box.wire() as wire:
        assert wire.send(head).answer("POST").status == 403
    site.authorizer.output = ALLOWED
    with site.box.wire() as wire:
        assert wire.send(head).any_answer("POST").status == 100
        assert wire.send(b"hello").answer("POST").status == 200
    assert site.responder.body == b"hello"


def test_scgi(tmp_path: Path) -> None:
    """SCGI has no roles: the authorizer sees a request without a body."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "scgi.sock"))
    listener.listen(1)
    (tmp_path / "root" / "pre").mkdir(parents=True)
    (tmp_path / "root" / "pre" / "f.txt").write_text("within")
    text = (
        f'server.document-root = "{tmp_path}/none"\nserver.modules = ("mod_scgi")\n'
        f'scgi.server = ( "/pre" => (( "socket" => "{tmp_path}/scgi.sock", "mode" => "authorizer",'
        f' "check-local" => "disable", "docroot" => "{tmp_path}/root" )) )\n'
    )
    told = []
    with listener, Box(tmp_path / "box") as box, Lighttpd(tmp_path / "lighttpd") as lighttpd:
        box.serve(text)
        lighttpd.serve(text)
        for server in (lighttpd, box):
            with server.wire() as wire:
                wire.send(b"POST /pre/f.txt HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
                connection, _ = listener.accept()
                with connection:
                    words = connection.recv(65536).partition(b":")[2].split(b"\0")
                    told.append(dict(zip(words[::2], words[1::2], strict=False)))
                    connection.sendall(b"Status: 200\r\n\r\n")
                assert wire.answer("POST").body == b"within"
    for name in (b"CONTENT_LENGTH", b"SCRIPT_NAME", b"SCRIPT_FILENAME", b"DOCUMENT_ROOT"):
        assert told[0][name] == told[1][name]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C authorizer."""
    source = Path(__file__).parent.parent / "applications" / "authorizer.c"
    made = tmp_path_factory.mktemp("program") / "authorizer.fcgi"
    subprocess.run(["gcc", "-O", "-o", str(made), str(source), "-lfcgi"], check=True)
    return made


def test_a_c_program_with_libfcgi(site: Site, program: Path, tmp_path: Path) -> None:
    with Box(tmp_path) as box:
        box.serve(
            f'server.document-root = "{site.private}"\nserver.modules = ("mod_fastcgi")\n'
            'fastcgi.server = ( "/pre" => (\n'
            f'  ( "bin-path" => "{program}", "socket" => "{tmp_path}/c.sock", "mode" => "authorizer",\n'
            '    "max-procs" => 1, "slots" => 1, "check-local" => "disable" ),\n'
            f'  ( "socket" => "{site.private}/../responder.sock", "check-local" => "disable" ) ) )\n'
        )
        with box.wire() as wire:
            for user in ("joe", "amy", "joe"):  # on one kept connection to the authorizer
                answer = wire.request("POST", f"/pre/x?key={user}", body=b"some body").answer("POST")
                assert answer.status == 200, box.log()
                assert dict(site.responder.pairs)[b"REMOTE_USER"] == user.encode()
                assert dict(site.responder.pairs)[b"GRANTED_BY"] == b"libfcgi"
                assert site.responder.body == b"some body"
                refused = wire.get("/pre/x")
                assert (refused.status, refused.body) == (403, b"no key, no page\n")
        box.wait_log("GET /pre/x: no key")


def test_an_authorizer_that_is_down_lets_nobody_in(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "f.txt").write_text("secret")
    hanging = socket.socket(socket.AF_UNIX)
    hanging.bind(str(tmp_path / "hanging.sock"))
    hanging.listen(8)
    with hanging, Box(tmp_path / "box") as box:
        gone = f'"socket" => "{tmp_path}/gone.sock"'
        hangs = f'"socket" => "{tmp_path}/hanging.sock"'
        entry = '"mode" => "authorizer", "check-local" => "disable", "read-timeout" => 1'
        box.serve(
            f'server.document-root = "{root}"\nserver.modules = ("mod_fastcgi")\n'
            'mimetype.assign = ("" => "text/plain")\n'
            f'$HTTP["host"] == "gone" {{ fastcgi.server = ("/" => (( {gone}, {entry} ))) }}\n'
            f'$HTTP["host"] == "hangs" {{ fastcgi.server = ("/" => (( {hangs}, {entry} ))) }}\n'
        )
        assert box.fetch("/f.txt", headers={"Host": "open"}).body == b"secret"
        assert box.fetch("/f.txt", headers={"Host": "gone"}).status == 503
        assert box.fetch("/f.txt", headers={"Host": "hangs"}).status == 504
        with box.wire() as wire:
            wire.request("GET", "/f.txt", {"Host": "hangs"})
            for _ in range(2):  # the request before has left its own connection there
                connection = hanging.accept()[0]
                assert connection.recv(1), "closed before it was asked, it would be asked again"
                connection.close()
            assert wire.answer().status == 502, box.log()


def test_limits_on_variables() -> None:
    most = [(b"Variable-N%d" % number, b"x") for number in range(MOST_VARIABLES)]
    assert len(variables(most)) == MOST_VARIABLES
    with pytest.raises(ProtocolError, match="more than"):
        variables([*most, (b"Variable-one-more", b"x")])
    with pytest.raises(ProtocolError, match="octets"):
        variables([(b"Variable-A", b"x" * LONGEST_VARIABLES)])
    assert variables([(b"variable-a-b", b"\xff"), (b"Other", b"x")]) == {"A_B": "\udcff"}
