"""Where `fcgibox spawn` differs on purpose: what spawn-fcgi misreads, destroys or leaves behind."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.spawn.spawner import Spawner

MISREAD = {
    "mode": (["-M", "rw"], "-M rw: permissions are octal digits, such as 660"),
    "decimal mode": (["-M", "689"], "-M 689: permissions are octal digits, such as 660"),
    "backlog": (["-b", "many"], "-b many: this is no number from 1 to 2147483647"),
    "children": (["-C", "-5"], "-C -5: this is no number from 0 to 65535"),
    "count": (["-F", "0"], "-F 0: this is no number from 1 to 4096"),
    "count and no fork": (["-n", "-F", "3"], "-F 3: with -n there is one process, this one"),
    "option": (["-z"], "there is no option -z; `fcgibox spawn --help` lists them"),
    "twice": (["-C", "1", "-C", "2"], "-C is there twice; once is enough"),
}


@pytest.mark.parametrize("name", MISREAD)
def test_misread_values(ours: Spawner, name: str) -> None:
    options, message = MISREAD[name]
    done = ours.run("-s", "app.sock", *options, "--", "/bin/true")
    assert (done.status, done.output) == (255, "")
    assert message in done.errors


def test_port_that_does_not_fit(ours: Spawner) -> None:
    done = ours.run("-a", "127.0.0.1", "-p", "70000", "--", "/bin/true")
    assert done.status == 255 and "-p 70000: this is no number from 1 to 65535" in done.errors


def test_a_file_is_not_taken_for_an_old_socket(ours: Spawner) -> None:
    file = ours.directory / "app.sock"
    file.write_text("work of weeks")
    done = ours.run("-s", "app.sock", "--", "/bin/true")
    assert done.status == 255 and "there is a file of that name" in done.errors
    assert file.read_text() == "work of weeks"


def test_the_pid_file_of_a_running_one_is_kept(ours: Spawner) -> None:
    options = ("-s", "app.sock", "-P", "pid", "--", ours.program)
    first = ours.run(*options)
    second = ours.run(*options)
    assert second.status == 255 and f"(process {first.pids[0]}) is using it" in second.errors
    assert (ours.directory / "pid").read_text() == str(first.pids[0])


def test_nothing_is_left_of_a_refusal(ours: Spawner) -> None:
    before = sorted([*os.listdir(ours.directory), "errors", "output"])
    for options in (
        ["-d", "nowhere", "--", "/bin/true"],
        ["-d", "of", "--", "./nothing"],
        ["--", "/bin/false"],
    ):
        assert ours.run("-s", "app.sock", "-P", "pid", *options).status in (255, errno.ENOENT, 1)
        assert sorted(os.listdir(ours.directory)) == before


def test_one_of_several_that_ends_is_seen(ours: Spawner) -> None:
    """spawn-fcgi waits for the first only, and calls the others successful."""
    once = "set -C; { true >first; } 2>/dev/null || exit 3; exec /bin/sleep 60"
    done = ours.run("-s", "app.sock", "-F", "3", "-P", "pid", "--", "/bin/sh", "-c", once)
    assert done.status == 3
    assert len(done.pids) == 1 and (ours.directory / "pid").read_text() == str(done.pids[0])
    assert done.errors.count("exit status 3") == 2 and "-n shows them" in done.errors


def test_descriptors_of_the_caller_stay_with_it(ours: Spawner, place: Path) -> None:
    with open(place / "lock", "w") as lock:
        done = ours.run("-s", "app.sock", "--", ours.program, pass_fds=(lock.fileno(),))
        assert ours.facts(done.pids[0])["inherited"] == []


def test_listening_everywhere_is_said(ours: Spawner) -> None:
    done = ours.run("-p", "1", "-n", "-F", "2", "--", "/bin/true")
    assert "-p 1 without -a listens on every address of this machine" in done.errors


def test_what_has_no_effect_is_said(ours: Spawner) -> None:
    done = ours.run("-s", "app.sock", "-n", "-P", "pid", "-S", "-f", "/bin/false", "--", "/bin/true")
    assert done.status == 0
    assert "-P: with -n" in done.errors and "-S: without -c" in done.errors
    assert "-f /bin/false: /bin/true is started instead" in done.errors


def test_a_path_is_asked_for(ours: Spawner) -> None:
    done = ours.run("-s", "app.sock", "--", "sleep", "1")
    assert "the program must be a path, PATH is not searched" in done.errors


def test_help_and_version(ours: Spawner) -> None:
    for option in ("-h", "-?", "--help"):
        done = ours.run(option)
        assert done.status == 0 and done.output.startswith("Start a FastCGI program")
    assert ours.run("-v").output.startswith("fcgibox ")


if os.geteuid() == 0:
    NOBODY = 65534

    def test_set_user_id_program(ours: Spawner) -> None:
        """Real user nobody, effective user root, as a set-user-ID bit makes it."""
        done = ours.run("-s", "app.sock", "--", "/bin/true", prepare=lambda: os.setresuid(NOBODY, 0, 0))
        assert done.status == 255 and "set-user-ID" in done.errors

    def test_options_for_root_by_somebody_else(ours: Spawner) -> None:
        """As with spawn-fcgi they have no effect, so that one script serves both; -c would protect, and is
        refused."""
        ours.directory.chmod(0o777)

        def become() -> None:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)

        done = ours.run("-s", "app.sock", "-u", "www-data", "-g", "games", "--", ours.program, prepare=become)
        assert done.status == 0 and "-u, -g: only root can change users" in done.errors
        assert ours.facts(done.pids[0])["user"] == [NOBODY] * 3
        done = ours.run("-s", "other.sock", "-c", "of", "--", "/bin/true", prepare=become)
        assert done.status == 255 and "only root can change the root directory" in done.errors
