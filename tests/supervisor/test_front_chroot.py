"""`server.chroot`: the front below another root, applications outside or in a root of their own.

mod_evhost is not there yet: document roots for each host are said in blocks of $HTTP["host"].
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests import jail, processes
from tests.box import Box, clean_environment, program

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can enter a chroot")

PAGE = """<?php
header("Content-Type: text/plain");
if (isset($_GET["send"])) { header("X-Sendfile: " . $_GET["send"]); exit; }
if (isset($_GET["upload"])) { echo md5(file_get_contents("php://input")); exit; }
foreach (array("SCRIPT_FILENAME", "DOCUMENT_ROOT", "PATH_TRANSLATED") as $name)
    echo $_SERVER[$name] ?? "-", "\n";
echo __FILE__;
"""
HOSTS = ("one.example", "two.example")


def site(root: Path) -> Path:
    """A root for the front with the pages of two hosts."""
    jail.furnish(root)
    for directory in ("run", "log", "etc", *(f"www/{host}" for host in HOSTS)):
        (root / directory).mkdir(exist_ok=True)
    (root / "log").chmod(0o755)
    for host in HOSTS:
        (root / f"www/{host}/a.php").write_text(PAGE)
        (root / f"www/{host}/file.txt").write_text(f"of {host}\n")
    return root


def configuration(root: Path | None, views: str, host: str, more: str = "") -> str:
    """Two virtual hosts below `views`, as the front sees it, and a pool of PHP."""
    chroot = f'server.chroot = "{root}"\n' if root else ""
    blocks = "".join(
        f'$HTTP["host"] == "{name}" {{ server.document-root = "{views}/{name}" }}\n' for name in HOSTS
    )
    return (
        f'{chroot}server.username = "www-data"\nserver.groupname = "www-data"\n'
        'server.modules = ("mod_fastcgi", "mod_auth", "mod_authn_file", "mod_accesslog")\n'
        f'server.document-root = "{views}"\n{more}{blocks}'
        f'fastcgi.server = (".php" => (("bin-path" => "{jail.PHP}", "max-procs" => 1, '
        f'"x-sendfile" => "enable", {host})))\n'
    )


def paths(box: Box, host: str, target: str = "/a.php/extra") -> list[str]:
    answer = box.fetch(target, headers=[("Host", host)])
    assert answer.status == 200, box.log()
    return answer.body.decode().split("\n")


def sent(box: Box, host: str, path: str) -> tuple[int, bytes]:
    answer = box.fetch(f"/a.php?send={path}", headers=[("Host", host)])
    return answer.status, answer.body if answer.status == 200 else b""


def root_of(pid: int) -> str:
    return os.readlink(f"/proc/{pid}/root")


@pytest.mark.holds("server.chroot")
def test_applications_outside(box: Box, place: Path) -> None:
    """The reference's open problem: each host's paths get the chroot before them."""
    root = site(place / "jail")
    box.serve(configuration(root, "/www", '"socket" => "/run/php"'))
    front = box.front_pid()
    (application,) = box.application_pids()
    assert root_of(front) == str(root) and root_of(application) == "/"
    assert processes.owner(front) == 33 and os.readlink(f"/proc/{front}/cwd") == str(root)
    for host in HOSTS:
        www = f"{root}/www/{host}"
        assert paths(box, host) == [f"{www}/a.php", www, f"{www}/extra", f"{www}/a.php"]
        assert box.fetch("/file.txt", headers=[("Host", host)]).body == f"of {host}\n".encode()
        assert sent(box, host, f"{www}/file.txt") == (200, f"of {host}\n".encode())
    assert sent(box, HOSTS[0], "/etc/passwd") == (404, b"")
    box.wait_log(f"X-Sendfile '/etc/passwd' is outside of server.chroot ({root})")
    assert sent(box, HOSTS[0], f"{root}/../../etc/passwd")[0] == 404
    assert (root / "run/php-0").is_socket(), "the front reaches it below its root"
    box.stop()
    assert not (root / "run/php-0").exists()


def test_applications_in_the_same_root(box: Box, place: Path) -> None:
    """As a lighttpd has it: both see the same."""
    root = jail.furnish(site(place / "jail"), jail.PHP)
    box.serve(configuration(root, "/www", f'"socket" => "/run/php", "chroot" => "{root}"'))
    assert root_of(box.front_pid()) == root_of(box.application_pids()[0]) == str(root)
    www = f"/www/{HOSTS[0]}"
    assert paths(box, HOSTS[0]) == [f"{www}/a.php", www, f"{www}/extra", f"{www}/a.php"]
    assert sent(box, HOSTS[0], f"{www}/file.txt")[0] == 200


@pytest.mark.slow
def test_applications_deeper(box: Box, place: Path) -> None:
    """In a root of their own below that of the front."""
    root = site(place / "jail")
    jail.furnish(root / "www", jail.PHP)
    box.serve(configuration(root, "/www", f'"socket" => "/run/php", "chroot" => "{root}/www"'))
    www = f"/{HOSTS[1]}"
    assert paths(box, HOSTS[1]) == [f"{www}/a.php", www, f"{www}/extra", f"{www}/a.php"]
    assert sent(box, HOSTS[1], f"{www}/file.txt") == (200, f"of {HOSTS[1]}\n".encode())


@pytest.mark.holds("chroot")
def test_the_other_way_round(box: Box, place: Path) -> None:
    """The front outside, the application in a root: its root is taken off, and put back for X-Sendfile."""
    root = jail.furnish(site(place / "jail"), jail.PHP)
    host = (
        f'"socket" => "{place}/php", "chroot" => "{root}", "x-sendfile-docroot" => ("{root}/www/{HOSTS[0]}")'
    )
    box.serve(configuration(None, f"{root}/www", host))
    assert root_of(box.front_pid()) == "/" and root_of(box.application_pids()[0]) == str(root)
    for name in HOSTS:
        www = f"/www/{name}"
        assert paths(box, name) == [f"{www}/a.php", www, f"{www}/extra", f"{www}/a.php"]
    assert sent(box, HOSTS[0], f"/www/{HOSTS[0]}/file.txt") == (200, f"of {HOSTS[0]}\n".encode())
    assert sent(box, HOSTS[0], f"/www/{HOSTS[1]}/file.txt")[0] == 403, (
        "x-sendfile-docroot is the front's view"
    )
    assert sent(box, HOSTS[0], "/etc/passwd")[0] == 403, "that is the chroot's"


def test_a_host_that_is_not_ours(box: Box, place: Path) -> None:
    """It is told what the front sees, as by lighttpd; `chroot` says that it is elsewhere."""
    root = site(place / "jail")
    sock = root / "run/foreign"
    done = subprocess.run(
        [*program(), "spawn", "-s", sock, "-M", "0666", "-P", place / "pid", "--", jail.PHP],
        capture_output=True,
        env=clean_environment(),
        timeout=20,
    )
    assert done.returncode == 0, done
    started = int((place / "pid").read_text())
    try:
        text = configuration(root, "/www", '"socket" => "/run/foreign", "chroot" => "/"')
        box.serve(re.sub(r'"bin-path" => "[^"]*", "max-procs" => 1, ', "", text))
        www = f"{root}/www/{HOSTS[0]}"
        assert paths(box, HOSTS[0]) == [f"{www}/a.php", www, f"{www}/extra", f"{www}/a.php"]
        box.configure((box.directory / "box.conf").read_text().replace(', "chroot" => "/"', ""))
        box.reload()
        # PHP finds no such file from where it is.
        assert box.fetch("/a.php", headers=[("Host", HOSTS[0])]).status == 404
    finally:
        for pid in processes.family(started):
            os.kill(pid, 9)


@pytest.mark.slow
def test_everything_that_comes_late(box: Box, place: Path) -> None:
    """Logs in the time of the machine, logins, big bodies, errors, a reload, another front: with no file of
    the system at hand."""
    root = site(place / "jail")
    done = box.run("passwd", root / "etc/users", "joe", stdin="secret\n")
    assert done.returncode == 0, done
    (root / "etc/users").chmod(0o600)
    box.environment["TZ"] = "Asia/Kolkata"
    login = (
        'accesslog.filename = "/log/access"\n'
        'auth.backend = "htpasswd"\nauth.backend.htpasswd.userfile = "/etc/users"\n'
        'auth.require = ("/file.txt" => ("method" => "basic", "realm" => "x", "require" => "valid-user"))\n'
        'server.errorlog = "/log/error"\n'
    )
    text = configuration(root, "/www", '"socket" => "/run/php"', login)
    box.serve(text)

    def all_of_it() -> None:
        assert box.fetch("/file.txt", headers=[("Host", HOSTS[0])]).status == 401
        assert box.fetch("/file.txt", headers=[("Host", HOSTS[0])], user=("joe", "secret")).status == 200
        assert box.fetch("/nothing", headers=[("Host", HOSTS[0])]).status == 404
        body = os.urandom(1 << 20)
        answer = box.fetch("/a.php?upload", headers=[("Host", HOSTS[0])], method="POST", body=body)
        assert answer.status == 200, box.log()

    all_of_it()
    box.wait_front(box.kill_front())
    all_of_it()
    front = box.front_pid()
    box.configure(f'{text}server.tag = "other"\n')
    box.reload()
    assert box.front_pid() != front
    all_of_it()
    assert "+0530" in (root / "log/access").read_text()
    text = (root / "log/error").read_text()
    assert "Traceback" not in text and "Error" not in text, text


def test_documents_out_of_reach(box: Box, place: Path) -> None:
    """A pool in a chroot beside the document root is named; `docroot` mends it."""
    root = jail.furnish(place / "jail", jail.PHP)
    host = f'"socket" => "{place}/php", "chroot" => "{root}"'
    box.serve(configuration(None, "/srv", host))
    box.wait_log(f"runs in the chroot {root}, and no server.document-root is below that")
    before = len(box.log())
    box.configure(configuration(None, "/srv", f'{host}, "docroot" => "/www"'))
    box.reload()
    assert "no server.document-root" not in box.log()[before:]


def test_not_as_root(place: Path) -> None:
    """A lighttpd would serve without it, silently."""
    place.chmod(0o777)
    conf = place / "a.conf"
    conf.write_text(f'server.bind = "{place}/sock"\nserver.chroot = "/srv"\n')
    done = subprocess.run(
        [*program(), "serve", str(conf)],
        capture_output=True,
        text=True,
        user=33,
        group=33,
        extra_groups=(),
        env=clean_environment(),
        timeout=30,
    )
    assert done.returncode == 1 and re.search(
        r"server.chroot is /srv, and only root can enter a chroot: .*\(sudo .*serve", done.stderr
    ), done
