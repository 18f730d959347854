"""The small parts: environment, output, files, addresses, identities, locks, the service manager."""

from __future__ import annotations

import os
import re
import socket
import stat
from pathlib import Path
from typing import ClassVar

import pytest

from appliance.config import Listener, PoolDefinition
from appliance.errors import UserError
from appliance.report.error_log import format_line
from appliance.supervisor import environment, holders, identity, listeners, rundir
from appliance.supervisor.exclusive import Exclusives
from appliance.supervisor.files import LIMIT, Watch
from appliance.supervisor.notify import Notify
from appliance.supervisor.output import BURST, LINE_LIMIT, Lines
from tests.supervisor.conftest import free_port


class TestEnvironment:
    INHERITED: ClassVar = {
        "PATH": "/bin",
        "LD_LIBRARY_PATH": "/tmp/_MEI1",
        "LD_LIBRARY_PATH_ORIG": "/opt/lib",
        "_PYI_ARCHIVE_FILE": "/usr/bin/fcgibox",
        "NOTIFY_SOCKET": "/run/notify",
        "FCGI_WEB_SERVER_ADDRS": "127.0.0.1",
        "PHP_FCGI_CHILDREN": "9",
    }

    def test_a_foreign_program_of_the_frozen_server(self) -> None:
        clean = environment.clean(self.INHERITED, frozen=True, for_ourselves=False)
        assert clean == {"PATH": "/bin", "LD_LIBRARY_PATH": "/opt/lib"}

    def test_the_bundle_is_not_left_when_nothing_was_set_before(self) -> None:
        inherited = {n: v for n, v in self.INHERITED.items() if n != "LD_LIBRARY_PATH_ORIG"}
        assert environment.clean(inherited, frozen=True, for_ourselves=False) == {"PATH": "/bin"}

    def test_our_own_program_shares_the_unpacked_directory(self) -> None:
        clean = environment.clean(self.INHERITED, frozen=True, for_ourselves=True)
        assert clean["_PYI_ARCHIVE_FILE"] and clean["LD_LIBRARY_PATH"] == "/tmp/_MEI1"

    def test_the_configuration_has_the_last_word(self) -> None:
        definition = PoolDefinition(
            "app",
            "fastcgi",
            command=("/bin/true",),
            copy_environment=("PATH", "MISSING"),
            environment=(("PHP_FCGI_CHILDREN", "3"), ("NOTIFY_SOCKET", "mine")),
        )
        result = environment.for_application(definition, "/bin/true", {**self.INHERITED, "HOME": "/root"})
        assert result == {
            "PATH": "/bin",
            "PHP_FCGI_CHILDREN": "3",
            "PHP_FCGI_MAX_REQUESTS": "0",
            "NOTIFY_SOCKET": "mine",
        }


class TestOutput:
    def test_lines_are_joined_and_cut(self) -> None:
        lines = Lines(0.0)
        assert lines.feed(b"one\r\ntw", 0.0) == ["one"]
        assert lines.feed(b"o\n\n\xff\n", 0.0) == ["two", "\ufffd"]
        (cut,) = lines.feed(b"x" * 100_000 + b"\n", 0.0)
        assert len(cut) == LINE_LIMIT + 2
        assert lines.feed(b"rest", 0.0) == [] and lines.end(0.0) == ["rest"]

    def test_a_flood_is_counted_not_logged_and_its_end_is_kept(self) -> None:
        lines = Lines(0.0)
        logged = lines.feed(b"".join(b"%d\n" % n for n in range(10_000)), 0.0)
        assert len(logged) == BURST
        assert lines.last[-1] == "9999" and len(lines.last) == 20
        assert lines.feed(b"later\n", 10.0) == [
            f"({10_000 - 200} lines left out: more than 50 a second)",
            "later",
        ]

    def test_a_log_line_cannot_be_forged(self) -> None:
        line = format_line("error", "php-0", "a\n2026-11-21 08:00:00 [error] b\x1b[2J")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[error\] php-0: a\\x0a2026.*\\x1b\[2J\n", line)


class TestFiles:
    def test_changes_are_seen_and_errors_told(self, tmp_path: Path) -> None:
        path = tmp_path / "htpasswd"
        watch = Watch()
        (snapshot,) = watch.follow((str(path),))
        assert (snapshot.content, snapshot.error) == (None, "No such file or directory")
        assert watch.poll() == []
        path.write_bytes(b"joe:\xe4\n")
        (snapshot,) = watch.poll()
        assert snapshot.content == "joe:\udce4\n" and snapshot.error is None
        path.write_bytes(b"x" * (LIMIT + 1))
        assert watch.poll()[0].error == "larger than 4 MiB"
        path.unlink()
        os.mkfifo(path)
        assert watch.poll()[0].error == "not a regular file"
        assert watch.follow(()) == [] and watch.current == {}


class TestAddresses:
    def test_a_port_in_use_names_its_holder(self) -> None:
        port = free_port()
        with listeners.bind(Listener("inet", "127.0.0.1", port)):
            with pytest.raises(UserError, match=rf"127.0.0.1:{port}.*\(process {os.getpid()}\) is using it"):
                listeners.bind(Listener("inet", "127.0.0.1", port))
            assert f"process {os.getpid()}" in (holders.holder_of_port(port) or "")

    def test_both_families_have_the_same_port(self) -> None:
        port = free_port()
        with (
            listeners.bind(Listener("inet6", "::", port)) as six,
            listeners.bind(Listener("inet", "0.0.0.0", port)),
        ):
            assert six.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)

    def test_an_address_of_another_machine(self) -> None:
        with pytest.raises(UserError, match="no such address"):
            listeners.bind(Listener("inet", "192.0.2.1", free_port()))

    def test_a_dead_socket_is_replaced_a_living_one_and_a_file_are_not(self, tmp_path: Path) -> None:
        path = tmp_path / "s"
        listeners.bind(Listener("unix", str(path), 0)).close()
        assert stat.S_ISSOCK(path.stat().st_mode)
        with (
            listeners.bind(Listener("unix", str(path), 0)),
            pytest.raises(UserError, match=f"process {os.getpid()}"),
        ):
            listeners.bind(Listener("unix", str(path), 0))
        path.unlink()
        path.write_text("mine")
        with pytest.raises(UserError, match="there is a file of that name"):
            listeners.bind(Listener("unix", str(path), 0))
        assert path.read_text() == "mine"

    def test_a_low_port_names_the_ways_to_get_it(self) -> None:
        def attempt() -> str:
            os.setgroups([])
            os.setresuid(65534, 65534, 65534)
            try:
                listeners.bind(Listener("inet", "127.0.0.1", 1)).close()
            except UserError as error:
                return str(error)
            return "bound"

        first_free = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
        if os.geteuid() != 0 or first_free <= 1:
            # As an ordinary user the same code runs without the change of identity.
            return
        text = in_child(attempt)
        assert "setcap" in text and "ip_unprivileged_port_start=1" in text and "AmbientCapabilities" in text


def in_child(work: object) -> str:
    """What `work()` returns in a forked process."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, work().encode())  # type: ignore[operator]
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    with os.fdopen(reader) as file:
        return file.read()


class TestIdentity:
    def test_unknown_names_say_how_to_create_them(self) -> None:
        with pytest.raises(UserError, match="useradd --system no-such-user"):
            identity.resolve("no-such-user", None, "server.username")

    def test_a_directory_that_is_closed_is_named(self, place: Path) -> None:
        nobody = identity.Identity(65534, 65534, (65534,), "nobody", "/")
        inner = place / "closed" / "inner"
        inner.mkdir(parents=True)
        assert identity.closed_to(str(inner), nobody) is None
        inner.parent.chmod(0o700)
        assert identity.closed_to(str(inner), nobody) == str(inner.parent)


def test_one_lock_for_each_directory(tmp_path: Path) -> None:
    ours, theirs = Exclusives(), Exclusives()
    assert ours.acquire({str(tmp_path)}) == [str(tmp_path)]
    assert ours.acquire({f"{tmp_path}/."}) == [], "it is ours already"
    with pytest.raises(UserError, match=f"already served by process {os.getpid()}"):
        theirs.acquire({str(tmp_path)})
    ours.keep_only(set())
    assert theirs.acquire({str(tmp_path)}) == [str(tmp_path)]
    theirs.keep_only(set())


def test_somebody_elses_run_directory_is_refused(place: Path) -> None:
    directory = place / "run"
    directory.mkdir()
    directory.chmod(0o777)
    with pytest.raises(UserError, match="chmod go-w"):
        rundir.prepare(directory, os.getegid())


def test_the_service_manager_is_told(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        variables = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "4000000", "OTHER": "x"}
        notify = Notify(variables)
        assert variables == {"OTHER": "x"} and notify.heartbeat == 2.0
        notify.ready("serving")
        notify.reloading()
        notify.stopping()
        notify.alive()
        said = [manager.recv(1000).decode() for _ in range(4)]
    assert said[0] == f"READY=1\nMAINPID={os.getpid()}\nSTATUS=serving"
    assert said[1].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert said[2].startswith("STOPPING=1") and said[3] == "WATCHDOG=1"
