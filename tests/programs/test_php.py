"""php-cgi behind our server: its paths, uploads larger than memory, and files sent in its place."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import pytest

from tests.box import ROOT, Box
from tests.gateway.responder import Responder
from tests.lighttpd import Lighttpd
from tests.programs.page import together
from tests.server import Server

_QUESTIONS = ROOT / "tests/applications/questions.php"
_BOUNDARY = "-----fcgibox-boundary"


def configuration(place: Path, program: str = "/usr/bin/php-cgi", more: str = "", socket: str = "php") -> str:
    """One php-cgi with two children."""
    return (
        f'server.document-root = "{place}/www"\n'
        'server.modules = ( "mod_fastcgi" )\n'
        f'fastcgi.server = ( ".php" => (( "bin-path" => "{program}", "socket" => "{place}/{socket}.sock", '
        f'"max-procs" => 1, "bin-environment" => ( "PHP_FCGI_CHILDREN" => "2" ), {more} )) )\n'
    )


@pytest.fixture
def www(place: Path) -> Path:
    """A document root with the page that answers questions."""
    (place / "www").mkdir(mode=0o755)
    (place / "spool").mkdir(mode=0o777)
    (place / "spool").chmod(0o777)
    shutil.copy(_QUESTIONS, place / "www/a.php")
    return place / "www"


def paths(server: Server, target: str, host: str) -> dict[str, str]:
    """What PHP makes of a path."""
    answer = server.fetch(f"{target}?env", headers=[("Host", host)])
    assert answer.status == 200, server.log()
    pairs = dict(line.split("=", 1) for line in answer.text.splitlines() if "=" in line)
    names = (
        "PATH_INFO",
        "PHP_SELF",
        "SCRIPT_NAME",
        "SCRIPT_FILENAME",
        "ORIG_SCRIPT_FILENAME",
        "PATH_TRANSLATED",
    )
    return {name: pairs[name] for name in names if name in pairs}


def test_path_info_and_php_self(box: Box, lighttpd: Lighttpd, place: Path, www: Path) -> None:
    """The reference: with cgi.fix_pathinfo = 1 and broken-scriptfilename both are right. PHP 8 needs only the
    former; without it PHP takes PATH_TRANSLATED for the script, which is not there.
    """
    ways = {"broken": (1, "enable"), "plain": (1, "disable"), "unfixed": (0, "disable")}
    for server in (box, lighttpd):
        texts = {
            name: configuration(
                place,
                f"/usr/bin/php-cgi -d cgi.fix_pathinfo={fix}",
                f'"broken-scriptfilename" => "{broken}"',
                f"{type(server).__name__}-{name}",
            )
            for name, (fix, broken) in ways.items()
        }
        server.serve(together(texts, str(www)))
    for name in ("broken", "plain"):
        found = paths(box, "/a.php/x/y", name)
        assert found == paths(lighttpd, "/a.php/x/y", name)
        assert (found["PATH_INFO"], found["PHP_SELF"]) == ("/x/y", "/a.php/x/y")
        assert (found["SCRIPT_NAME"], found["SCRIPT_FILENAME"]) == ("/a.php", f"{www}/a.php")
        found = paths(box, "/a.php", name)
        assert (found["SCRIPT_NAME"], "PATH_INFO" in found, "PATH_TRANSLATED" in found) == (
            "/a.php",
            False,
            False,
        )
    for path, status in (("/a.php/x/y", 404), ("/a.php", 200)):
        statuses = [server.fetch(path, headers=[("Host", "unfixed")]).status for server in (box, lighttpd)]
        assert statuses == [status, status]


def test_broken_scriptfilename_without_path_info(
    box: Box, lighttpd: Lighttpd, place: Path, www: Path
) -> None:
    """lighttpd 1.4.69 puts a slash behind the name of the script; PHP takes it away again."""
    responder = Responder(place / "s")
    (place / "s").chmod(0o666)
    rule = f'".php" => (( "socket" => "{place}/s", "broken-scriptfilename" => "enable" ))'
    text = (
        f'server.document-root = "{www}"\nserver.modules = ( "mod_fastcgi" )\nfastcgi.server = ( {rule} )\n'
    )
    try:
        found = []
        for server in (lighttpd.serve(text), box.serve(text)):
            server.fetch("/a.php")
            found.append(dict(responder.pairs)[b"SCRIPT_FILENAME"].decode())
    finally:
        responder.close()
    assert found == [f"{www}/a.php/", f"{www}/a.php"]


def peak(pid: int) -> int:
    """The most memory that a process ever had, kB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1])


@pytest.mark.parametrize("megabytes", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_an_upload(box: Box, place: Path, www: Path, megabytes: int) -> None:
    """The file arrives whole, and the front never holds more than a piece of it."""
    limits = "-d upload_max_filesize=300M -d post_max_size=300M"
    spool = f'server.upload-dirs = ( "{place}/spool" )\n'
    box.serve(spool + configuration(place, f"/usr/bin/php-cgi {limits}"))
    front = box.front_pid()
    assert box.fetch("/a.php").status == 200
    before = peak(front)
    piece = bytes(range(256)) * 4096
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="big.bin"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    tail = f"\r\n--{_BOUNDARY}--\r\n".encode()
    length = len(head) + megabytes * len(piece) + len(tail)
    digest = hashlib.md5()
    with box.wire(60.0) as wire:
        wire.send(
            f"POST /a.php?upload HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n"
            f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\n\r\n".encode()
            + head
        )
        for _ in range(megabytes):
            wire.send(piece)
            digest.update(piece)
        answer = wire.send(tail).answer("POST")
    assert answer.text == f"big.bin {megabytes << 20} {digest.hexdigest()}\n", box.log()
    assert peak(front) - before < 8 << 10, f"{before} kB, then {peak(front)} kB"
    assert not list((place / "spool").iterdir())


def test_a_download_that_can_be_resumed(box: Box, lighttpd: Lighttpd, place: Path, www: Path) -> None:
    shutil.copy(ROOT / "tests/applications/resume.php", www)
    content = bytes(range(256)) * 300
    (www / "download.bin").write_bytes(content)
    more = f'"x-sendfile" => "enable", "x-sendfile-docroot" => ( "{www}" )'
    box.serve(configuration(place, more=more))
    lighttpd.serve(configuration(place, more=more, socket="other"))
    for headers in ((), (("Range", "bytes=76000-"),), (("Range", "bytes=0-99"),)):
        expected, found = (server.fetch("/resume.php", headers=headers) for server in (lighttpd, box))
        names = ("Content-Range", "Content-Length", "X-Sendfile", "X-Sendfile2")
        assert (found.status, found.body) == (expected.status, expected.body)
        assert [found.header(name) for name in names] == [expected.header(name) for name in names]
    assert box.fetch("/resume.php", headers=[("Range", "bytes=76000-")]).body == content[76000:]
