"""The supervisor at work, with real processes: php-cgi, small programs, and a stand-in for the front."""

from __future__ import annotations

import os
import signal
import socket
import stat
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from appliance.errors import UserError
from appliance.supervisor.control import ask
from tests import processes
from tests.supervisor.conftest import Supervised, finish, free_port
from tests.waiting import until

PHP = (
    'fastcgi.server = (".php" => ("app" => ("bin-path" => "/usr/bin/php-cgi", '
    '"socket" => "{place}/php.sock", "min-procs" => {count}, "max-procs" => 3, '
    '"bin-environment" => ("PHP_FCGI_CHILDREN" => "{children}"))))\n'
)


def php(server: Supervised, count: int = 1, children: int = 4) -> str:
    return PHP.format(place=server.directory, count=count, children=children)


def program(server: Supervised, body: str, extra: str = "", name: str = "app") -> str:
    """A pool whose program is a Python script."""
    script = server.directory / f"{name}.py"
    script.write_text(f"#!{sys.executable}\nimport os, signal, sys, time\n{body}")
    script.chmod(0o755)
    return (
        f'fastcgi.server = (".x" => ("{name}" => ("bin-path" => "{script}", '
        f'"socket" => "{server.directory}/{name}.sock", "min-procs" => 1, "max-procs" => 1, {extra})))\n'
    )


def family(pid: int) -> set[int]:
    return processes.family(pid) - {pid}


def gone(pids: set[int]) -> bool:
    return not any(processes.alive(pid) for pid in pids)


class TestStart:
    def test_the_front_has_only_what_it_needs(self, supervised: Supervised) -> None:
        supervised.start(php(supervised))
        facts = supervised.front()
        assert facts["group"] == facts["pid"] != os.getpgrp()
        # 0-2, the error log, one listener, the channel, its selector, this connection and the listing itself.
        assert len(facts["descriptors"]) <= 9

    def test_processes_are_announced_with_their_slots(self, supervised: Supervised) -> None:
        supervised.start(php(supervised, count=2))
        until(lambda: len(supervised.messages("process")) == 2)
        first, second = supervised.messages("process")
        assert (first["address"], first["slots"], first["suspect"]) == (
            f"unix:{supervised.directory}/php.sock-0",
            4,
            0,
        )
        assert second["address"] == f"unix:{supervised.directory}/php.sock-1"
        path = supervised.directory / "php.sock-0"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_the_run_directory_is_closed(self, supervised: Supervised) -> None:
        supervised.start()
        assert stat.S_IMODE(supervised.run_directory.stat().st_mode) == 0o710
        assert stat.S_IMODE(supervised.control.stat().st_mode) == 0o600

    def test_a_second_instance_is_told_about_the_first(self, supervised: Supervised, place: Path) -> None:
        supervised.start()
        (place / "other").mkdir()
        other = Supervised(place / "other")
        other.port = supervised.port
        other.start(wait=False)
        assert other.wait() == 1
        assert f"cannot listen on 127.0.0.1:{other.port}: " in other.log()
        assert f"(process {supervised.pid}) is using it" in other.log()
        other.run_directory = supervised.run_directory
        other.start(wait=False)
        assert other.wait() == 1
        assert f"already running (process {supervised.pid})" in other.log()

    @pytest.mark.holds("exclusive")
    def test_exclusive_directories_have_one_server(self, supervised: Supervised, place: Path) -> None:
        text = php(supervised).replace('"max-procs"', f'"exclusive" => ("{place}/data"), "max-procs"')
        (place / "data").mkdir()
        (place / "other").mkdir()
        supervised.start(text)
        other = Supervised(place / "other")
        other.start(text.replace("php.sock", "other.sock"), wait=False)
        assert other.wait() == 1
        assert f"{place}/data is already served by process {supervised.pid}" in other.log()

    def test_a_front_that_cannot_start_ends_it_with_its_last_words(self, supervised: Supervised) -> None:
        supervised.start('server.tag = "broken"\n' + php(supervised), wait=False)
        assert supervised.wait() == 1
        assert (
            "the front ended before it was ready: exit status 3; this front cannot start" in supervised.log()
        )

    def test_children_inherit_no_descriptor(self, supervised: Supervised) -> None:
        reader, writer = os.pipe()
        supervised.inherited = (reader, writer)
        supervised.start(
            program(supervised, 'print(sorted(os.listdir("/proc/self/fd")), flush=True)\ntime.sleep(60)\n')
        )
        # The fourth is the listing itself.
        until(
            lambda: "app-0: ['0', '1', '2', '3']" in supervised.log(), 10, "other descriptors", supervised.log
        )
        os.close(reader)
        os.close(writer)

    def test_children_get_a_clean_environment(self, supervised: Supervised) -> None:
        supervised.environment |= {"FCGI_WEB_SERVER_ADDRS": "10.0.0.1", "LISTEN_FDS": "0", "KEPT": "yes"}
        for name in ("LC_ALL", "LANG", "LC_CTYPE"):  # Python would say C.UTF-8 to them (PEP 538)
            supervised.environment.pop(name, None)
        supervised.start(php(supervised))
        pid = until(supervised.pids)[0]
        environment = dict(
            pair.split("=", 1) for pair in Path(f"/proc/{pid}/environ").read_text().split("\0") if "=" in pair
        )
        assert environment["PHP_FCGI_CHILDREN"] == "4" and environment["PHP_FCGI_MAX_REQUESTS"] == "0"
        assert environment["KEPT"] == "yes"
        assert not environment.keys() & {"FCGI_WEB_SERVER_ADDRS", "LISTEN_FDS", "NOTIFY_SOCKET", "LC_CTYPE"}


class TestDeaths:
    def test_a_killed_process_is_replaced_and_its_children_end(self, supervised: Supervised) -> None:
        supervised.start(php(supervised))
        pid = until(supervised.pids)[0]
        children = until(lambda: processes.children(pid) if len(processes.children(pid)) == 4 else set())
        os.kill(pid, signal.SIGKILL)
        until(lambda: gone({pid} | children), 3)
        fresh = until(lambda: [p for p in supervised.pids() if p != pid])
        assert processes.alive(fresh[0])
        (lost,) = supervised.messages("gone")
        assert lost["process"] == "app-0" and "SIGKILL" in lost["reason"]

    def test_a_crash_loop_backs_off_and_says_why(self, supervised: Supervised) -> None:
        text = program(supervised, 'print("no database", file=sys.stderr)\nsys.exit(3)\n')
        supervised.start(text)
        until(lambda: supervised.pool()["state"] == "failing", 10, "not failing", supervised.log)
        reason = supervised.pool()["reason"]
        assert "exit status 3" in reason and "no database" in reason
        assert "app-0: no database" in supervised.log()
        assert any(m["state"] == "failing" for m in supervised.messages("pool"))

    def test_a_killed_front_is_back_within_a_second_and_applications_live(
        self, supervised: Supervised
    ) -> None:
        supervised.start(php(supervised))
        until(lambda: supervised.messages("process"))
        applications = supervised.pids()
        facts = supervised.front()
        os.kill(facts["pid"], signal.SIGKILL)
        started = time.monotonic()
        again = supervised.front()
        assert time.monotonic() - started < 1
        assert again["generation"] == facts["generation"] + 1
        assert supervised.pids() == applications
        (process,) = supervised.messages("process")
        assert (process["slots"], process["suspect"]) == (4, 4)

    def test_a_front_that_keeps_dying_is_started_with_pauses(self, supervised: Supervised) -> None:
        supervised.start()
        for _ in range(2):
            pid = supervised.front()["pid"]
            supervised.begin(die=9).close()
            until(partial(gone, {pid}))
        until(lambda: "2 times in a row" in supervised.log(), 5, "no pause", supervised.log)
        assert "the front is dying" in supervised.log()
        assert supervised.front()["generation"] == 3

    def test_a_killed_supervisor_leaves_nothing(self, supervised: Supervised) -> None:
        supervised.start(php(supervised))
        pid = until(supervised.pids)[0]
        until(lambda: len(processes.children(pid)) == 4)
        everybody = family(supervised.pid)
        assert len(everybody) >= 7, "guardian, front, php-cgi and its four"
        supervised.signal(signal.SIGKILL)
        until(lambda: gone(everybody), 2, f"left: {[p for p in everybody if processes.alive(p)]}")
        assert not supervised.control.exists() and not (supervised.directory / "php.sock-0").exists()

    def test_a_killed_guardian_is_replaced(self, supervised: Supervised) -> None:
        supervised.start(php(supervised))
        known = {until(supervised.pids)[0], supervised.front()["pid"]}
        (guardian,) = processes.children(supervised.pid) - known
        os.kill(guardian, signal.SIGKILL)
        until(lambda: processes.children(supervised.pid) - known - {guardian})
        everybody = family(supervised.pid)
        supervised.signal(signal.SIGKILL)
        until(lambda: gone(everybody), 2)

    def test_leftovers_are_ended_before_their_address_is_used(self, supervised: Supervised) -> None:
        # TERM is what a leftover survives, and nobody is there to send KILL.
        body = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\ntime.sleep(60)\n"
        supervised.start(program(supervised, body))
        until(lambda: "app-0: deaf" in supervised.log())
        pid = until(supervised.pids)[0]
        (guardian,) = processes.children(supervised.pid) - {pid, supervised.front()["pid"]}
        os.kill(supervised.pid, signal.SIGSTOP)
        os.kill(guardian, signal.SIGKILL)
        supervised.signal(signal.SIGKILL)
        supervised.wait()
        assert processes.alive(pid)
        supervised.start(program(supervised, body))
        assert not processes.alive(pid)
        assert f"an earlier run had left processes ({pid}" in supervised.log()


class TestStop:
    def test_term_completes_a_request(self, supervised: Supervised) -> None:
        supervised.start(php(supervised))
        everybody = family(supervised.pid)
        request = supervised.begin(work=1.0)
        until(lambda: supervised.status()["front"]["data"]["connections"] == 1)
        supervised.signal(signal.SIGINT)
        assert finish(request)["worked"]
        assert supervised.wait() == 0
        assert gone(everybody)
        assert not supervised.control.exists() and not (supervised.directory / "php.sock-0").exists()

    def test_a_second_signal_is_now_but_an_echo_is_not(self, supervised: Supervised) -> None:
        supervised.start(php(supervised))
        request = supervised.begin(work=30.0)
        until(lambda: supervised.status()["front"]["data"]["connections"] == 1)
        supervised.signal(signal.SIGINT)
        until(lambda: "stopping" in supervised.log())
        supervised.signal(signal.SIGINT)
        assert supervised.status()["stopping"]
        deadline = time.monotonic() + 1.1
        until(lambda: time.monotonic() > deadline)
        assert processes.alive(supervised.pid), "an echo of the first signal stopped it"
        supervised.signal(signal.SIGINT)
        assert supervised.wait(5) == 0
        request.close()

    def test_stop_has_a_limit(self, supervised: Supervised) -> None:
        supervised.limit = 0.5
        supervised.start()
        request = supervised.begin(work=30.0)
        until(lambda: supervised.status()["front"]["data"]["connections"] == 1)
        supervised.signal(signal.SIGTERM)
        assert supervised.wait(6) == 0
        assert "has not ended in time and is killed" in supervised.log()
        request.close()

    def test_a_stubborn_program_is_killed(self, supervised: Supervised) -> None:
        body = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\ntime.sleep(60)\n"
        supervised.start(program(supervised, body))
        until(lambda: "deaf" in supervised.log())
        everybody = family(supervised.pid)
        supervised.signal(signal.SIGTERM)
        assert ask(supervised.control, {"command": "stop", "now": True})["ok"]
        assert supervised.wait(5) == 0
        assert gone(everybody)


class TestReload:
    def test_equal_pools_and_requests_live_on(self, supervised: Supervised) -> None:
        supervised.start(php(supervised))
        pids = until(supervised.pids)
        request = supervised.begin(work=1.0)
        until(lambda: supervised.status()["front"]["data"]["connections"] == 1)
        assert ask(supervised.control, {"command": "reload"})["ok"]
        assert supervised.front()["generation"] == 2
        assert supervised.pids() == pids
        (process,) = supervised.messages("process")
        assert process["slots"] == 0, "the old front has them all"
        assert finish(request)["generation"] == 1
        until(lambda: sum(m["slots"] for m in supervised.messages("lease")) == 4)

    def test_slots_are_handed_on_as_they_are_released(self, supervised: Supervised) -> None:
        supervised.start(php(supervised))
        until(lambda: supervised.messages("process"))
        supervised.front(say={"type": "release", "pool": "app", "process": "app-0", "slots": 1})
        assert ask(supervised.control, {"command": "reload"})["ok"]
        until(lambda: supervised.messages("process"))
        # One was free when the new front came; the old one drains at once and leaves the other three.
        until(
            lambda: (
                sum(m["slots"] for m in supervised.messages("process") + supervised.messages("lease")) == 4
            )
        )

    def test_an_error_changes_nothing_and_is_answered(self, supervised: Supervised) -> None:
        supervised.start(php(supervised))
        generation = supervised.front()["generation"]
        supervised.configure(php(supervised) + "server.prot = 1\n")
        with pytest.raises(UserError, match=r"server\.prot"):
            ask(supervised.control, {"command": "reload"})
        supervised.configure(php(supervised).replace("/usr/bin/php-cgi", "/usr/bin/no-such-program"))
        with pytest.raises(UserError, match=r"/usr/bin/no-such-program does not exist"):
            ask(supervised.control, {"command": "reload"})
        supervised.configure('server.tag = "broken"\n' + php(supervised))
        with pytest.raises(UserError, match="this front cannot start"):
            ask(supervised.control, {"command": "reload"})
        assert supervised.front()["generation"] == generation

    def test_a_changed_pool_comes_up_before_the_old_one_ends(self, supervised: Supervised) -> None:
        supervised.start(php(supervised))
        old = set(until(supervised.pids))
        supervised.configure(php(supervised, children=2))
        supervised.signal(signal.SIGHUP)
        until(lambda: supervised.front()["generation"] == 2)
        until(lambda: supervised.messages("process"))
        (process,) = supervised.messages("process")
        assert process["address"].endswith("php.sock-1") and process["slots"] == 2
        until(lambda: gone(old))

    def test_listeners_come_and_go(self, supervised: Supervised) -> None:
        supervised.start()
        old, new = supervised.port, free_port()
        supervised.configure("", new)
        assert ask(supervised.control, {"command": "reload"})["ok"]
        supervised.port = new
        assert supervised.front()["generation"] == 2
        until(lambda: socket.socket().connect_ex(("127.0.0.1", old)) != 0)
        assert supervised.status()["listeners"] == [f"127.0.0.1:{new}"]


class TestOrders:
    def test_want_and_idle(self, supervised: Supervised) -> None:
        supervised.start(php(supervised, children=1))
        until(supervised.pids)
        for _ in range(5):
            supervised.front(say={"type": "want", "pool": "app", "n": 1})
        until(lambda: len(supervised.pids()) == 3)
        for number in range(3):
            supervised.front(say={"type": "idle", "pool": "app", "process": f"app-{number}"})
        until(lambda: len(supervised.pids()) == 1)

    def test_kill(self, supervised: Supervised) -> None:
        supervised.start(
            program(supervised, "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)\n")
        )
        (pid,) = until(supervised.pids)
        supervised.front(
            say={"type": "kill", "pool": "app", "process": "app-0", "reason": "it does not answer"}
        )
        until(lambda: not processes.alive(pid), 4)
        until(lambda: supervised.pids() not in ([], [pid]))
        assert "it is ended: it does not answer" in supervised.log()

    @pytest.mark.holds("server.errorlog")
    def test_logs_are_opened_again(self, supervised: Supervised, place: Path) -> None:
        log = place / "error.log"
        supervised.start(f'server.errorlog = "{log}"\n')
        log.rename(place / "error.log.1")
        supervised.signal(signal.SIGUSR1)
        until(log.exists)
        until(lambda: "front-1 was here" in log.read_text())
        assert "the log files were opened again" in log.read_text()

    def test_nonsense_on_the_control_socket(self, supervised: Supervised) -> None:
        supervised.start()
        with pytest.raises(UserError, match="unknown command"):
            ask(supervised.control, {"command": "dance"})
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(supervised.control))
            sock.sendall(b"hello\n")
            assert b'"ok": false' in sock.recv(1000)
