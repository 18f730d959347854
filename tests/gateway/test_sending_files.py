"""X-Sendfile, X-Sendfile2 and X-LIGHTTPD-send-file as clients see them, beside a real lighttpd."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.gateway.sendfile import MOST_PIECES
from tests.box import Box
from tests.gateway.responder import Responder
from tests.http_client import Answer
from tests.lighttpd import Lighttpd
from tests.server import Server

SCRIPT = Path(__file__).parent.parent / "applications" / "download.php"


class Site:
    """One configuration under two servers, an application behind both, and files beside it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        files = directory / "files"
        files.mkdir()
        for name, content in (("ten", b"0123456789"), ("a,b c", b"abcdefghij"), ("empty", b"")):
            (files / name).write_bytes(content)
        (files / "large").write_bytes(bytes(range(256)) * 1000)
        (files / "link").symlink_to(files / "ten")
        (directory / "secret").write_text("secret")
        self.responder = Responder(directory / "responder.sock")
        common = f'"socket" => "{directory}/responder.sock", "check-local" => "disable"'
        within = f'"x-sendfile-docroot" => ( "{files}" )'
        text = (
            f'server.document-root = "{directory}"\nserver.modules = ("mod_fastcgi")\nfastcgi.server = (\n'
            f'  "/all" => (( {common}, "allow-x-send-file" => "enable" )),\n'
            f'  "/files" => (( {common}, "x-sendfile" => "enable", {within} )),\n'
            f'  "/none" => (( {common} )) )\n'
            '$HTTP["host"] == "strict" { server.follow-symlink = "disable" }\n'
        )
        self.lighttpd = Lighttpd(directory / "lighttpd").serve(text)
        self.box = Box(directory / "box").serve(text)

    def close(self) -> None:
        self.box.end()
        self.lighttpd.end()
        self.responder.close()

    def ask(
        self, server: Server, head: str, target: str = "/all", method: str = "GET", host: str = "h"
    ) -> Answer:
        """What comes of an answer with this head; "D" stands for the directory of the files."""
        text = head.replace("D/", f"{self.directory}/files/")
        self.responder.output = f"{text}\n\nnot this".replace("\n", "\r\n").encode()
        with server.wire() as wire:
            return wire.request(method, target, {"Host": host}).answer(method)

    def both(self, head: str, target: str = "/all", method: str = "GET") -> Answer:
        """What comes of it, the same from both servers."""
        ours, theirs = (self.ask(server, head, target, method) for server in (self.box, self.lighttpd))
        own_page = b"<title>" in theirs.body
        assert ours.status == theirs.status
        assert own_page or ours.body == theirs.body
        for name in ("X-Sendfile", "X-Sendfile2", "Content-Range", "Content-Type"):
            assert own_page or name == "Content-Type" or ours.header(name) == theirs.header(name)
        assert own_page or ours.header("Content-Length") == theirs.header("Content-Length")
        return ours


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("sending"))
    yield site
    site.close()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("D/ten 0-", b"0123456789"),
        ("D/ten 2-4", b"234"),
        ("D/ten 0-99999", b"0123456789"),
        ("D/ten 10-", b""),
        ("D/ten 11-", 502),
        ("D/ten 5-4", b""),
        ("D/ten 5-3", 502),
        ("D/ten", 502),
        ("D/ten -5", 502),
        ("D/ten 0-x", 502),
        ("D/ten 3-5,D/ten 0-1", b"34501"),
        ("D/a%2cb%20c 1-2, D/ten 0-0,", b"bc0"),
        ("D/empty 0-, D/ten 8-", b"89"),
        ("D/none 0-", 404),
        ("D/ten 0-, D/none 0-", 404),
        ("D/link 0-1", b"01"),
        ("D/large 255-257", b"\xff\x00\x01"),
    ],
)
def test_parts(site: Site, value: str, expected: bytes | int) -> None:
    answer = site.both(f"X-Sendfile2: {value}")
    assert (answer.body if isinstance(expected, bytes) else answer.status) == expected


def test_large_parts_of_many_files(site: Site) -> None:
    answer = site.ask(site.box, "X-Sendfile2: " + "D/large 1-, D/ten 0-1, " * 20)
    assert answer.body == ((bytes(range(256)) * 1000)[1:] + b"01") * 20
    descriptors = len(list(Path(f"/proc/{site.box.front_pid()}/fd").iterdir()))
    assert site.ask(site.box, "X-Sendfile2: " + "D/ten 0-," * (MOST_PIECES + 1)).status == 502
    assert site.ask(site.box, "X-Sendfile2: " + "D/ten 0-," * (MOST_PIECES - 1) + "D/none 0-").status == 404
    site.ask(site.box, "X-Sendfile2: " + "D/ten 0-," * MOST_PIECES, method="HEAD")
    assert len(list(Path(f"/proc/{site.box.front_pid()}/fd").iterdir())) <= descriptors


@pytest.mark.holds("allow-x-send-file", "x-sendfile")
@pytest.mark.parametrize(
    ("head", "status", "body"),
    [
        ("Status: 206\nContent-Range: bytes 2-3/10\nX-Sendfile2: D/ten 2-3", 206, b"23"),
        ("Content-Type: a/b\nContent-Length: 77\nX-Sendfile2: D/ten 2-3", 200, b"23"),
        ("Status: 404\nX-Sendfile2: D/ten 0-", 404, b"0123456789"),
        ("Status: 404\nX-Sendfile2: D/none 0-", 404, b""),
        ("Status: 404\nX-Sendfile: D/none", 404, b""),
        ("Status: 201\nX-Sendfile2: D/ten what", 502, None),
        ("X-Sendfile: D/ten\nX-Sendfile2: D/ten 0-1", 200, b"01"),
        ("X-Sendfile2: D/ten 0-1\nX-Sendfile: D/ten", 200, b"01"),
        ("X-LIGHTTPD-send-file: D/ten", 200, b"0123456789"),
        ("X-LIGHTTPD-send-file: D/none", 404, None),
        ("X-Sendfile2:", 200, b"not this"),
    ],
)
def test_beside_other_fields(site: Site, head: str, status: int, body: bytes | None) -> None:
    answer = site.both(head)
    assert answer.status == status
    assert body is None or answer.body == body
    if "a/b" in head:
        assert answer.header("Content-Type") == "a/b"


def test_several_fields_are_joined(site: Site) -> None:
    """As the documentation says; lighttpd 1.4.69 answers 502."""
    answer = site.ask(site.box, "X-Sendfile2: D/ten 0-1\nX-Sendfile2: D/a%2cb%20c 0-1")
    assert answer.body == b"01ab"


def test_head(site: Site) -> None:
    answer = site.both("X-Sendfile2: D/large 0-", method="HEAD")
    assert (answer.header("Content-Length"), answer.body) == ("256000", b"")


@pytest.mark.parametrize(
    "value", ["X-Sendfile2: D/../secret 0-", "X-Sendfile2: D/ten 0-, D/%2e%2e/secret 0-"]
)
def test_not_beyond_the_docroot(site: Site, value: str) -> None:
    assert site.both(value, "/files").status == 403
    assert site.both("X-Sendfile2: D/ten 0-", "/files").status == 200
    site.box.wait_log("not below x-sendfile-docroot")


def test_not_through_links_where_none_are_followed(site: Site) -> None:
    """The same rule as for X-Sendfile; lighttpd 1.4.69 forgets it here."""
    assert site.ask(site.box, "X-Sendfile2: D/link 0-", "/files", host="strict").status == 403
    assert site.ask(site.box, "X-Sendfile2: D/ten 0-, D/link 0-", "/files", host="strict").status == 403
    assert site.ask(site.box, "X-Sendfile: D/link", "/files", host="strict").status == 403
    assert site.ask(site.box, "X-Sendfile2: D/ten 0-", "/files", host="strict").status == 200


def test_nothing_is_sent_unless_allowed(site: Site) -> None:
    for name in ("X-Sendfile2", "X-LIGHTTPD-send-file"):
        answer = site.ask(site.box, f"{name}: D/ten 0-", "/none")
        assert (answer.body, answer.header(name)) == (b"not this", f"{site.directory}/files/ten 0-")


def test_the_documented_php_example(tmp_path: Path) -> None:
    """Downloads that resume, by a script with HTTP_RANGE and X-Sendfile2."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "download.php").write_text(SCRIPT.read_text())
    content = bytes(range(256)) * 2000
    (root / "file").write_bytes(content)
    with Box(tmp_path / "box") as box:
        box.serve(
            f'server.document-root = "{root}"\nserver.modules = ("mod_fastcgi")\n'
            f'fastcgi.server = ( ".php" => (( "bin-path" => "/usr/bin/php-cgi", "max-procs" => 1,\n'
            f'  "socket" => "{tmp_path}/php.sock", "x-sendfile" => "enable" )) )\n'
        )
        whole = box.fetch("/download.php")
        assert (whole.status, whole.body) == (200, content)
        rest = box.fetch("/download.php", headers={"Range": "bytes=500000-"})
        assert (rest.status, rest.body) == (206, content[500000:])
        assert rest.header("Content-Range") == "bytes 500000-511999/512000"
