"""What must not stop, mislead or outlive the supervisor: full disks and pipes, old numbers, others' links."""

from __future__ import annotations

import os
import select
import signal
import stat
from pathlib import Path

import pytest

from appliance.config import PoolDefinition
from appliance.errors import UserError
from appliance.report.error_log import ErrorLog
from appliance.supervisor import control, identity
from appliance.supervisor.addresses import Addresses
from appliance.supervisor.children import Children
from appliance.supervisor.files import Watch
from appliance.supervisor.guardian import Guardian
from appliance.supervisor.leftovers import Record
from appliance.supervisor.logs import Logs
from appliance.supervisor.loop import READ, Loop
from appliance.supervisor.opening import open_meant, write_file
from tests.supervisor.conftest import Supervised
from tests.supervisor.test_parts import in_child
from tests.supervisor.test_running import program
from tests.waiting import until

as_root = os.geteuid() == 0
STRANGER = 65534


def test_a_wanted_process_comes_up_after_a_failed_start(supervised: Supervised) -> None:
    text = program(supervised, "time.sleep(60)\n").replace('"min-procs" => 1', '"min-procs" => 0')
    script = supervised.directory / "app.py"
    good = script.read_text()
    supervised.start(text)
    script.write_text("#!/nowhere/python\n")
    supervised.front(say={"type": "want", "pool": "app", "n": 1})
    until(lambda: "could not be started" in supervised.log(), 5, "no failure", supervised.log)
    script.write_text(good)
    until(lambda: supervised.pids(), 10, "it never came", supervised.log)


def test_a_record_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    told: list[str] = []
    record = Record(tmp_path / "missing", told.append)
    record.add(os.getpid())
    record.discard(os.getpid())
    record.add(os.getpid())
    assert len(told) == 1 and "missing/processes.json: No such file or directory; make room" in told[0]


def test_what_one_signal_raises_does_not_cost_the_next() -> None:
    def attempt() -> str:
        reports: list[str] = []
        seen: list[int] = []
        loop = Loop(reports.append)

        def arrived(number: int) -> None:
            seen.append(number)
            if number == signal.SIGUSR1:
                raise OSError("no space")
            loop.stop()

        loop.signals((signal.SIGUSR1, signal.SIGUSR2), arrived)
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR2)
        loop.call_later(5, loop.stop)
        loop.run()
        return f"{signal.SIGUSR2 in seen} {len(reports)}"

    assert in_child(attempt) == "True 1"


def test_a_timer_that_sets_itself_in_the_past_does_not_starve_descriptors() -> None:
    def attempt() -> str:
        loop = Loop(print)
        reader, writer = os.pipe()
        calls = 0

        def again() -> None:
            nonlocal calls
            calls += 1
            if calls == 1:
                os.write(writer, b"x")  # only now is the descriptor ready
            loop.call_later(-1, again) if calls < 1000 else loop.stop()

        loop.watch(reader, READ, loop.stop)
        loop.call_later(0, again)
        loop.run()
        return str(calls)

    assert in_child(attempt) == "2"


def test_the_status_of_an_earlier_process_is_not_the_new_ones(tmp_path: Path) -> None:
    def attempt() -> str:
        loop = Loop(print)
        guardian = Guardian(tmp_path)
        children = Children(loop, guardian, Record(tmp_path, print))
        ended: list[int] = []
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            signal.pause()
        # As if an orphan had died with this number before.
        children._unclaimed[pid] = 9, loop.now()
        children.add(pid, ended.append)
        loop.call_later(0.1, loop.stop)
        loop.run()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        guardian.dismiss()
        return str(ended)

    assert in_child(attempt) == "[]"


def test_a_full_pipe_does_not_stop_who_logs() -> None:
    reader, writer = os.pipe()
    try:
        log = ErrorLog(writer)
        poll = select.poll()
        poll.register(writer, select.POLLOUT)
        while poll.poll(0):
            os.write(writer, b"x" * select.PIPE_BUF)
        log.write("error", "here", "lost")
        log.write("error", "here", "lost")
        os.read(reader, 1 << 20)
        log.write("error", "here", "again")
        text = os.read(reader, 1 << 20).decode()
    finally:
        os.close(reader)
        os.close(writer)
    assert "2 lines were lost" in text and text.endswith("here: again\n")


def link(path: Path, target: Path, owner: int) -> None:
    path.symlink_to(target)
    if as_root:
        os.lchown(path, owner, owner)


def test_root_follows_only_links_that_gain_their_owner_nothing(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("root:x\n")
    for name, owner in (("roots", 0), ("theirs", STRANGER)):
        link(tmp_path / name, secret, owner)
    link(tmp_path / "directory", tmp_path, STRANGER)
    watch = Watch()
    paths = [str(tmp_path / name) for name in ("secret", "roots", "theirs", "directory/secret")]
    plain, roots, theirs, directory = watch.follow(tuple(paths))
    assert plain.content == roots.content == "root:x\n"
    for snapshot in (theirs, directory) if as_root else ():
        assert snapshot.content is None and f"belongs to user {STRANGER}" in (snapshot.error or "")
    if as_root:
        os.chown(secret, STRANGER, STRANGER)
        assert [s.content for s in watch.poll()] == ["root:x\n"] * 2, "now it is the link's owner's"


def test_root_creates_and_writes_nothing_at_the_end_of_anothers_link(tmp_path: Path) -> None:
    link(tmp_path / "new.log", tmp_path / "created", STRANGER)
    link(tmp_path / "pid", tmp_path / "precious", STRANGER)
    (tmp_path / "precious").write_text("kept")
    if as_root:
        with pytest.raises(UserError, match=f"belongs to user {STRANGER}"):
            Logs(str(tmp_path / "new.log"), ())
        assert not (tmp_path / "created").exists()
        with pytest.raises(OSError, match="symbolic link"):
            write_file(str(tmp_path / "pid"), "1\n")
        assert (tmp_path / "precious").read_text() == "kept"
    write_file(str(tmp_path / "precious"), "1\n")
    assert (tmp_path / "precious").read_text() == "1\n"


def test_links_of_all_kinds_lead_where_they_should(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_text("found")
    link(tmp_path / "relative", Path("a/b/../b"), 0)
    link(tmp_path / "absolute", tmp_path / "relative" / "file", 0)
    link(tmp_path / "loop", tmp_path / "loop", 0)
    with os.fdopen(open_meant(str(tmp_path / "absolute"), os.O_RDONLY)) as file:
        assert file.read() == "found"
    with pytest.raises(OSError, match="Too many levels"):
        open_meant(str(tmp_path / "loop"), os.O_RDONLY)
    with pytest.raises(NotADirectoryError):
        open_meant(str(tmp_path / "absolute" / "x"), os.O_RDONLY)


def test_a_pipe_that_nobody_reads_is_no_log(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    with pytest.raises(UserError, match="start the program that reads it first"):
        Logs(str(tmp_path / "log"), ())
    with pytest.raises(OSError, match=r"No such device|regular file"):
        write_file(str(tmp_path / "log"), "1\n")


def test_a_socket_has_its_mode_without_a_chmod(place: Path) -> None:
    def attempt() -> str:
        guardian = Guardian(place)
        # It would follow a link that took the socket's place.
        os.chmod = None  # type: ignore[assignment]
        addresses = Addresses(place, guardian)
        definition = PoolDefinition("app", "fastcgi", command=("/bin/true",), socket=str(place / "s"))
        bound = addresses.bind(definition, identity.current())
        guardian.dismiss()
        return oct(stat.S_IMODE(os.stat(bound.address.removeprefix("unix:")).st_mode))

    assert in_child(attempt) == "0o600"


def test_another_users_run_directory_is_not_asked(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place.chmod(0o777)
    (place / "fcgibox").mkdir()
    (place / "fcgibox").chmod(0o777)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))

    def attempt() -> str:
        if as_root:
            os.setuid(STRANGER)
        try:
            return str(control.find(None))
        except UserError as error:
            return str(error)

    assert ("belongs to user 0" if as_root else "can be written by others") in in_child(attempt)
