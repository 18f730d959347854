"""`fcgibox app` behind a real nginx, configured as Trac's documentation shows it."""

from __future__ import annotations

import grp
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fronts.applications import reached, shared
from tests.fronts.servers import WEB_USER, Nginx
from tests.fronts.walk import Crowd, log_in, upload, visit
from tests.trac_projects import Projects
from tests.waiting import until

# The listing of Trac's own page, with the parenthesis that it forgets, without TLS.
_PARAMETERS = """\
    fastcgi_param SCRIPT_NAME     "{mount}";
    fastcgi_param PATH_INFO       $path_info;
    fastcgi_param REQUEST_METHOD  $request_method;
    fastcgi_param SERVER_NAME     $server_name;
    fastcgi_param SERVER_PORT     $server_port;
    fastcgi_param SERVER_PROTOCOL $server_protocol;
    fastcgi_param QUERY_STRING    $query_string;
    fastcgi_param REMOTE_USER     $remote_user;
    fastcgi_param REMOTE_ADDR     $remote_addr;
    fastcgi_param CONTENT_TYPE    $content_type;
    fastcgi_param CONTENT_LENGTH  $content_length;
    fastcgi_pass  {target};
"""
_KEPT = "fastcgi_keep_conn on;\n"


@pytest.fixture
def nginx(place: Path) -> Iterator[Nginx]:
    """A real nginx, not started yet."""
    with Nginx(place / "nginx") as server:
        yield server


def locations(target: str, mount: str = "", password_file: Path | None = None, more: str = "") -> str:
    """One application at `mount`; nginx asks for the password at /login, if there is a password file."""
    parameters = _PARAMETERS.format(mount=mount, target=target) + more
    text = f"if ($uri ~ ^{mount}(/.*)) {{ set $path_info $1; }}\n"
    text += f"location {mount or '/'} {{\n{parameters}}}\n"
    if password_file is not None:
        login = f'auth_basic "trac realm";\nauth_basic_user_file {password_file};\n'
        text += f"location {mount}/login {{\n{login}{parameters}}}\n"
    return text


def test_on_a_socket_for_its_group(nginx: Nginx, projects: Projects, place: Path) -> None:
    run = place / "run"
    run.mkdir()
    group = grp.getgrnam(WEB_USER).gr_gid if os.geteuid() == 0 else os.getegid()
    os.chown(run, -1, group)
    run.chmod(0o2750)
    path = run / "instance.sock"
    words = ("trac", "--env", projects.single, "--socket-mode", "660", "--socket-group", str(group))
    nginx.serve(locations(f"unix:{path}", password_file=projects.passwords()))
    assert nginx.fetch("/wiki").status == 502
    with reached(place / "app.log", path, *words) as process:
        status = path.stat()
        assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o660, group)
        visit(nginx)
        log_in(nginx)
        assert upload(nginx, "", os.urandom(8 << 20)).status == 400
        assert process.stop() == 0
    with reached(place / "app.log", path, *words):
        assert nginx.fetch("/wiki").status == 200, "another process, the same socket"


def test_below_a_prefix(nginx: Nginx, projects: Projects, place: Path) -> None:
    with reached(
        place / "app.log", place / "s", "trac", "--parent-dir", projects.parent, "--socket-mode", "666"
    ):
        target = f"unix:{place}/s"
        nginx.serve(locations(target, "/projects", password_file=None))
        visit(nginx, "/projects/alpha")
        assert "Beta Project" in nginx.fetch("/projects/").text


def test_kept_connections_to_two_processes(nginx: Nginx, projects: Projects, place: Path) -> None:
    words = ("trac", "--env", projects.single, "--socket-mode", "666")
    with reached(place / "a.log", place / "a", *words), reached(place / "b.log", place / "b", *words):
        upstream = f"upstream trac {{ server unix:{place}/a; server unix:{place}/b; keepalive 8; }}"
        nginx.serve(locations("trac", more=_KEPT), upstream)
        crowd = Crowd()

        def ask(number: int) -> None:
            answer = nginx.fetch("/wiki" if number % 3 == 0 else "/chrome/common/css/trac.css")
            assert answer.status == 200, answer

        crowd.run(12, 10, ask)
        assert not crowd.failures, (crowd.failures[:3], nginx.log())
        assert crowd.longest < 20


def test_kept_connections_to_one_socket_of_two_processes(nginx: Nginx, place: Path) -> None:
    application = ("wsgi", "tests.application.applications:by_path")
    with shared(place / "app.log", place / "s", 2, *application) as processes:
        upstream = f"upstream two {{ server unix:{place}/s; keepalive 8; }}"
        nginx.serve(locations("two", more=_KEPT), upstream)
        seen: set[int] = set()

        def ask(number: int) -> None:
            method = "POST" if number % 2 else "GET"
            answer = nginx.fetch("/echo", method=method, body=b"x" * 1000 if number % 2 else b"")
            assert answer.status == 200, answer
            seen.add(int(answer.text.rpartition('"pid": ')[2].rstrip("}")))

        crowd = Crowd()
        crowd.run(12, 50, ask)
        assert not crowd.failures, (crowd.failures[:3], nginx.log())
        assert seen == set(processes)
        _while_one_is_busy(nginx, place, ask)


def test_a_busy_process_and_a_free_one(nginx: Nginx, place: Path) -> None:
    words = ("wsgi", "tests.application.applications:by_path", "--socket-mode", "666")
    with reached(place / "a.log", place / "a", *words), reached(place / "b.log", place / "b", *words):
        upstream = (
            f"upstream two {{ least_conn; server unix:{place}/a; server unix:{place}/b; keepalive 8; }}"
        )
        nginx.serve(locations("two", more=_KEPT), upstream)

        def ask(number: int) -> None:
            assert nginx.fetch("/echo").status == 200

        Crowd().run(8, 5, ask)
        _while_one_is_busy(nginx, place, ask, clients=1)


def _while_one_is_busy(nginx: Nginx, place: Path, ask: Callable[[int], None], clients: int = 8) -> None:
    """A request that takes long holds one process; the other one answers everything else."""
    marker = place / "busy"
    slow = threading.Thread(target=nginx.fetch, args=(f"/slow?{marker}",))
    slow.start()
    until(marker.exists)
    # It counts as long from 20 ms on.
    until(lambda: time.time() - marker.stat().st_mtime > 0.2)
    try:
        crowd = Crowd()
        crowd.run(clients, 10, ask)
        assert not crowd.failures and crowd.longest < 20, (crowd, nginx.log())
    finally:
        marker.unlink()
        slow.join()
