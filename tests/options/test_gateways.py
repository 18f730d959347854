"""Keys of a host entry, on the running program and applications of all sorts."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.box import Box
from tests.waiting import until

SCRIPTED = Path(__file__).parent.parent / "applications" / "scripted.py"


def script(place: Path, body: str, name: str = "program.py") -> Path:
    """An executable program."""
    path = place / name
    path.write_text(f"#!{sys.executable}\nimport os, signal, socket, sys, time\n{body}")
    path.chmod(0o755)
    return path


def serve(
    box: Box, place: Path, keys: str, program: Path | str = SCRIPTED, extra: str = "", processes: int = 1
) -> Box:
    """A program of ours at /app."""
    (place / "www").mkdir(exist_ok=True)
    if program == SCRIPTED:
        program = place / "scripted.py"
        shutil.copy(SCRIPTED, program)
        program.chmod(0o755)
    return box.serve(f"""
        server.modules = ( "mod_fastcgi", "mod_scgi" )
        server.document-root = "{place}/www"
        fastcgi.server = ( "/app" => (( "socket" => "{place}/app.sock", "bin-path" => "{program}",
            "check-local" => "disable", "min-procs" => {processes}, "max-procs" => {processes}, {keys} )) )
        {extra}
        """)


@contextmanager
def deaf(path: Path) -> Iterator[socket.socket]:
    """An application that takes connections and nothing else."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o666)
        listener.listen()
        yield listener


def reach(box: Box, place: Path, address: str, keys: str) -> Box:
    """A host that somebody else has started, at /app."""
    (place / "www").mkdir(exist_ok=True)
    return box.serve(f"""
        server.modules = ( "mod_fastcgi" )
        server.document-root = "{place}/www"
        fastcgi.server = ( "/app" => (( {address}, "check-local" => "disable", {keys} )) )
        """)


@pytest.mark.holds("bin-environment", "bin-copy-environment", "bin-path")
def test_the_environment_of_a_process(box: Box, place: Path) -> None:
    box.environment["KEPT"] = "yes"
    box.environment["DROPPED"] = "yes"
    serve(
        box,
        place,
        '"bin-copy-environment" => ( "KEPT", "PATH", "MISSING" ), "bin-environment" => ( "ADDED" => "1" )',
    )
    assert box.get("/app?hello").status == 200
    (pid,) = box.application_pids()
    pairs = Path(f"/proc/{pid}/environ").read_text().split("\0")
    found = dict(pair.split("=", 1) for pair in pairs if pair)
    assert (found["KEPT"], found["ADDED"]) == ("yes", "1")
    assert not {"DROPPED", "MISSING", "HOME"} & set(found)


@pytest.mark.holds("kill-signal")
def test_the_signal_that_ends_a_process(box: Box, place: Path) -> None:
    program = script(
        place,
        """
def end(*_):
    with open(os.path.join(os.path.dirname(__file__), "ended"), "w") as file:
        file.write("by USR1")
    sys.exit(0)
signal.signal(signal.SIGUSR1, end)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    time.sleep(60)
""",
    )
    serve(box, place, '"kill-signal" => 10', program)
    until(box.application_pids)
    # Python needs a moment until its handlers are there.
    (pid,) = box.application_pids()
    until(lambda: int(caught(pid), 16) >> 9 & 1)
    box.stop()
    assert (place / "ended").read_text() == "by USR1"


def caught(pid: int) -> str:
    """The signals that a process has handlers for, as a mask in hexadecimal digits (proc(5))."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))


@pytest.mark.holds("listen-backlog")
def test_the_backlog_of_a_process(box: Box, place: Path) -> None:
    serve(box, place, '"listen-backlog" => 2000')
    until(box.application_pids)
    shown = subprocess.run(["ss", "-xlH"], capture_output=True, text=True, check=True, timeout=30).stdout
    (line,) = (line for line in shown.splitlines() if f"{place}/app.sock-0" in line)
    allowed = int(Path("/proc/sys/net/core/somaxconn").read_text())
    assert int(line.split()[3]) == min(2000, allowed)


@pytest.mark.holds("read-timeout")
def test_an_application_that_says_nothing(box: Box, place: Path) -> None:
    with deaf(place / "deaf.sock"):
        reach(box, place, f'"socket" => "{place}/deaf.sock"', '"read-timeout" => 1')
        assert box.fetch("/app", timeout=20).status == 504
    box.wait_log("answered with 504")


@pytest.mark.holds("write-timeout")
def test_an_application_that_reads_nothing(box: Box, place: Path) -> None:
    with deaf(place / "deaf.sock"):
        reach(box, place, f'"socket" => "{place}/deaf.sock"', '"write-timeout" => 1')
        assert box.fetch("/app", method="POST", body=bytes(8 << 20), timeout=20).status == 504


@pytest.mark.holds("connect-timeout", "port", "host")
def test_a_host_that_does_not_answer_the_door(box: Box, place: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        host, port = listener.getsockname()
        # A backlog of nothing holds one connection; the kernel passes over what comes after.
        with socket.create_connection((host, port)):
            reach(box, place, f'"host" => "{host}", "port" => {port}', '"connect-timeout" => 1')
            assert box.fetch("/app", timeout=20).status in (503, 504)
    box.wait_log("connecting")


@pytest.mark.holds("server.stream-response-body")
def test_an_answer_is_held_or_goes_out_as_it_comes(box: Box, place: Path) -> None:
    serve(box, place, '"slots" => 1', extra='$HTTP["host"] == "stream" { server.stream-response-body = 1 }')
    held = box.get("/app?stream=20000")
    assert (held.header("Content-Length"), held.header("Transfer-Encoding")) == ("20000", None)
    streamed = box.get("/app?stream=20000", {"Host": "stream"})
    assert (streamed.header("Content-Length"), streamed.header("Transfer-Encoding")) == (None, "chunked")
    assert held.body == streamed.body


@pytest.mark.holds("server.upload-dirs")
def test_large_bodies_go_to_the_directory_named(box: Box, place: Path) -> None:
    uploads = place / "uploads"
    uploads.mkdir(mode=0o777)
    uploads.chmod(0o777)
    serve(box, place, '"slots" => 1', extra=f'server.upload-dirs = ( "{uploads}" )')
    with box.wire() as wire:
        wire.send(b"POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n" + bytes(4_000_000))
        until(lambda: spooled(box.front_pid(), uploads), 10, "no file", box.log)
        wire.send(bytes(5_000_000))
        assert wire.answer().status == 200


def spooled(pid: int, directory: Path) -> bool:
    """Whether a process has a file open that is, or was, in a directory."""
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if str(entry.readlink()).startswith(f"{directory}/"):
                return True
        except FileNotFoundError:
            continue
    return False


@pytest.mark.holds("allow-x-send-file", "x-sendfile", "x-sendfile-docroot")
@pytest.mark.parametrize("key", ["x-sendfile", "allow-x-send-file"])
def test_an_application_names_a_file(box: Box, place: Path, key: str) -> None:
    (place / "files").mkdir()
    (place / "files" / "told.txt").write_text("told")
    (place / "files" / "told.php").write_text(
        f'<?php header("X-Sendfile: {place}/files/" . $_GET["name"]); echo "not this";'
    )
    (place / "www").mkdir()
    box.serve(f"""
        server.modules = ( "mod_fastcgi" )
        server.document-root = "{place}/files"
        fastcgi.server = ( ".php" => (( "socket" => "{place}/php.sock", "bin-path" => "/usr/bin/php-cgi",
            "min-procs" => 1, "max-procs" => 1, "{key}" => "enable",
            "x-sendfile-docroot" => ( "{place}/files" ) )) )
        """)
    assert box.get("/told.php?name=told.txt").body == b"told"
    assert box.get("/told.php?name=../www").status == 403


@pytest.mark.holds("setenv.add-environment")
def test_variables_of_a_scope(box: Box, place: Path) -> None:
    (place / "www").mkdir()
    (place / "www" / "a.php").write_text('<?php echo $_SERVER["X_SITE"] ?? "none", $_SERVER["QUERY_STRING"];')
    box.serve(f"""
        server.modules = ( "mod_fastcgi", "mod_setenv" )
        server.document-root = "{place}/www"
        fastcgi.server = ( ".php" => (( "socket" => "{place}/php.sock", "bin-path" => "/usr/bin/php-cgi",
            "min-procs" => 1, "max-procs" => 1 )) )
        $HTTP["host"] == "one" {{ setenv.add-environment = ( "x-site" => "first" ) }}
        """)
    assert [box.get("/a.php?q", {"Host": host}).text for host in ("one", "two")] == ["firstq", "noneq"]


SCGI = """
listener = socket.socket(fileno=0)
while True:
    connection, _ = listener.accept()
    data = b""
    while b":" not in data:
        data += connection.recv(65536)
    size, _, rest = data.partition(b":")
    while len(rest) <= int(size):
        rest += connection.recv(65536)
    fields = rest[: int(size)].split(b"\\0")
    name = fields[fields.index(b"SCRIPT_NAME") + 1]
    connection.sendall(b"Status: 200 OK\\r\\nContent-Type: text/plain\\r\\n\\r\\n%d " % os.getpid() + name)
    connection.close()
"""


@pytest.mark.holds("scgi.server", "scgi.map-extensions", "scgi.balance")
def test_scgi_has_all_of_it(box: Box, place: Path) -> None:
    (place / "www").mkdir()
    for name in ("a.app", "b.other"):
        (place / "www" / name).touch()
    program = script(place, SCGI)
    hosts = ", ".join(
        f'( "socket" => "{place}/{number}.sock", "bin-path" => "{program}", "max-procs" => 1 )'
        for number in (1, 2)
    )
    box.serve(f"""
        server.modules = ( "mod_scgi" )
        server.document-root = "{place}/www"
        scgi.server = ( ".app" => ( {hosts} ) )
        scgi.map-extensions = ( ".other" => ".app" )
        scgi.balance = "round-robin"
        """)
    until(lambda: len(box.application_pids()) == 2)
    answers = [box.get("/a.app").text.split() for _ in range(4)]
    assert {name for _, name in answers} == {"/a.app"}
    assert {int(pid) for pid, _ in answers} == set(box.application_pids())
    assert box.get("/b.other").text.endswith("/b.other")
