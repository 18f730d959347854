"""Who applications run as, and with what: seen from outside, on php-cgi started by the real program."""

from __future__ import annotations

import os
import re
import resource
import shlex
import subprocess
from pathlib import Path

import pytest

from appliance.config import PoolDefinition
from appliance.config.confinement import file_mask, limits
from appliance.supervisor import processes as starting
from appliance.supervisor.chroot import outside
from appliance.supervisor.confinement import FREE, confinement
from appliance.supervisor.identity import current
from tests import jail, processes
from tests.box import ROOT, Box, clean_environment, program
from tests.waiting import until

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
NOBODY, WWW = 65534, 33
PAGE = '<?php header("Content-Type: text/plain"); echo $_SERVER["SCRIPT_FILENAME"], " ", __FILE__;'


def php(box: Box, host: str, before: str = "") -> Box:
    """Serve `.php` by a php-cgi with these keys."""
    (box.directory / "www").mkdir(exist_ok=True)
    (box.directory / "www/a.php").write_text(PAGE)
    user = 'server.username = "www-data"\nserver.groupname = "www-data"\n' if os.geteuid() == 0 else ""
    return box.serve(
        f'{user}server.modules = ("mod_fastcgi")\nserver.document-root = "{box.directory}/www"\n{before}'
        f'fastcgi.server = (".php" => (("socket" => "{box.directory}/php", "bin-path" => "{jail.PHP}", '
        f'"max-procs" => 1, {host})))\n'
    )


def only(box: Box) -> int:
    """The one application process."""
    (pid,) = box.application_pids()
    return pid


def status(pid: int, field: str) -> list[str]:
    text = Path(f"/proc/{pid}/status").read_text()
    return re.search(rf"^{field}:\t(.*)$", text, re.MULTILINE)[1].split()  # type: ignore[index]


def limit(pid: int, number: int) -> tuple[int, int]:
    """(soft, hard) from /proc: prlimit(2) of others takes a capability that a container may not have."""
    title = {
        resource.RLIMIT_NOFILE: "Max open files",
        resource.RLIMIT_CORE: "Max core file size",
        resource.RLIMIT_CPU: "Max cpu time",
        resource.RLIMIT_AS: "Max address space",
    }[number]
    row = re.search(rf"^{title} +(\S+) +(\S+)", Path(f"/proc/{pid}/limits").read_text(), re.MULTILINE)
    assert row is not None
    return int(row[1]), int(row[2])


@pytest.mark.holds("umask", "nice", "limits")
def test_umask_priority_and_limits(box: Box) -> None:
    """Each is there when the program runs, and serves."""
    php(
        box,
        '"umask" => "027", "nice" => 7, "limits" => ( "nofile" => "100:200", "core" => 0, "cpu" => "1h", '
        '"as" => "2G" )',
    )
    assert box.get("/a.php").status == 200
    pid = only(box)
    assert status(pid, "Umask") == ["0027"]
    assert os.getpriority(os.PRIO_PROCESS, pid) == 7
    assert limit(pid, resource.RLIMIT_NOFILE) == (100, 200)
    assert limit(pid, resource.RLIMIT_CORE) == (0, 0)
    assert limit(pid, resource.RLIMIT_CPU) == (3600, 3600)
    assert limit(pid, resource.RLIMIT_AS) == (2 << 30, 2 << 30)
    front = box.front_pid()
    assert status(front, "Umask") != ["0027"] and os.getpriority(os.PRIO_PROCESS, front) != 7


def test_a_limit_that_leaves_no_room_is_named(box: Box) -> None:
    """The program cannot even start: the log says what it was given, and the server goes on."""
    php(box, '"limits" => ( "as" => "20K" )')
    box.wait_log("(its limits are as 20480:20480)")
    assert box.get("/a.php").status == 503


@AS_ROOT
@pytest.mark.holds("user", "group")
def test_user_and_group(box: Box) -> None:
    """A user of its own brings its own groups; the front keeps its user."""
    php(box, '"user" => "nobody"')
    assert box.get("/a.php").status == 200
    pid = only(box)
    assert status(pid, "Uid") == [str(NOBODY)] * 4 and status(pid, "Gid") == [str(NOBODY)] * 4
    assert status(pid, "Groups") == [str(NOBODY)]
    assert processes.owner(box.front_pid()) == WWW
    assert status(pid, "NoNewPrivs") == ["0"] and status(pid, "CapEff") == ["0" * 16]


@AS_ROOT
@pytest.mark.holds("group")
def test_group_alone(box: Box) -> None:
    """The user of the front, another group."""
    php(box, '"group" => "nogroup"')
    pid = only(box)
    assert status(pid, "Uid")[0] == str(WWW) and status(pid, "Gid") == [str(NOBODY)] * 4


@AS_ROOT
@pytest.mark.holds("chroot")
def test_chroot(box: Box, place: Path) -> None:
    """The program is found inside, runs there without a way out, and dies with us."""
    root = jail.furnish(place / "jail", jail.PHP)
    php(
        box,
        f'"chroot" => "{root}", "docroot" => "/www", "user" => "nobody", "umask" => "077", '
        '"limits" => ( "nproc" => "4000" )',
    )
    (root / "www/a.php").write_text(PAGE)
    answer = box.get("/a.php")
    assert (answer.status, answer.body) == (200, b"/www/a.php /www/a.php"), box.log()
    pid = only(box)
    assert os.readlink(f"/proc/{pid}/root") == str(root)
    assert os.readlink(f"/proc/{pid}/cwd") == f"{root}/usr/bin"
    assert status(pid, "Uid") == [str(NOBODY)] * 4 and status(pid, "Umask") == ["0077"]
    assert os.readlink(f"/proc/{box.front_pid()}/root") == "/"
    box.kill_supervisor()
    until(lambda: not processes.alive(pid), problem="it survives the supervisor")


@AS_ROOT
def test_a_template_hands_on_what_it_got(box: Box, place: Path) -> None:
    """Its forks have its user, umask, priority and limits."""
    (place / "tiny_site.py").write_text(
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n    return [b'here']\n"
    )
    command = shlex.join([*program(), "app", "wsgi", "tiny_site:app"])
    box.serve(
        'server.username = "www-data"\nserver.modules = ("mod_fastcgi")\n'
        f'fastcgi.server = ("/" => (("socket" => "{box.directory}/app", "bin-path" => "{command}", '
        '"template" => "enable", "max-procs" => 1, "check-local" => "disable", "user" => "nobody", '
        f'"bin-environment" => ( "PYTHONPATH" => "{place}:{ROOT}" ), '
        '"umask" => "027", "nice" => 3, "limits" => ( "nofile" => 99 ))))\n'
    )
    until(lambda: box.get("/").body == b"here", problem="it does not serve", details=box.log)
    for pid in (only(box), box.template_pid()):
        assert status(pid, "Uid") == [str(NOBODY)] * 4 and status(pid, "Umask") == ["0027"]
        assert os.getpriority(os.PRIO_PROCESS, pid) == 3
        assert limit(pid, resource.RLIMIT_NOFILE) == (99, 99)


def refused(place: Path, host: str, *, before: str = "", user: int | None = None) -> str:
    """What `serve` says to a configuration that it cannot start, as this user."""
    conf = place / "refused.conf"
    conf.write_text(
        f'server.bind = "{place}/listen.sock"\nserver.modules = ("mod_fastcgi")\n{before}'
        f'fastcgi.server = (".php" => (("socket" => "{place}/php", {host})))\n'
    )
    place.chmod(0o777)
    done = subprocess.run(
        [*program(), "serve", str(conf)],
        capture_output=True,
        text=True,
        timeout=30,
        user=user,
        group=user,
        extra_groups=None if user is None else (),
        cwd=ROOT if user is not None else place,
        env=clean_environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1000)),
    )
    assert done.returncode == 1, done
    return done.stderr


PHP_HOST = f'"bin-path" => "{jail.PHP}"'


@AS_ROOT
def test_what_only_root_can_do_says_so(place: Path) -> None:
    """Each with the command to type."""
    command = rf"sudo .*serve {place}/refused\.conf"
    for keys, reason in (
        ('"user" => "nobody"', "only root can change the user"),
        ('"group" => "nogroup"', "only root can change the user"),
        ('"chroot" => "/srv"', "only root can enter a chroot"),
        ('"nice" => "-5"', "only root may give it"),
        ('"limits" => ( "nofile" => 2000 )', "only root may raise the limit 'nofile' above 1000"),
        ('"limits" => ( "nofile" => "10:infinity" )', "only root may raise the limit 'nofile' above 1000"),
    ):
        said = refused(place, f"{PHP_HOST}, {keys}", user=WWW)
        assert re.search(rf"{re.escape(reason)}.*{command}", said, re.DOTALL), said


@AS_ROOT
def test_a_chroot_that_cannot_be(place: Path) -> None:
    """No directory, no program in it, a program that is not named inside."""
    (place / "jail").mkdir()
    inside = f'"chroot" => "{place}/jail"'
    assert f"mkdir -p {place}/nowhere" in refused(place, f'{PHP_HOST}, "chroot" => "{place}/nowhere"')
    said = refused(place, f"{PHP_HOST}, {inside}")
    assert f"{place}/jail{jail.PHP} does not exist ({jail.PHP} in the chroot {place}/jail)" in said
    assert "an absolute path inside, not 'php-cgi'" in refused(place, f'"bin-path" => "php-cgi", {inside}')


class TestProgram:
    """bin-path at what is not the right program, or at one that is not named in full."""

    def test_php_of_the_command_line(self, place: Path) -> None:
        """Recognised by what it says about itself, under any name that begins with php."""
        (place / "php8").symlink_to("/usr/bin/php")
        for path in ("/usr/bin/php", f"{place}/php8"):
            said = refused(place, f'"bin-path" => "{path} -d memory_limit=1M"')
            assert f"{path} is the PHP of the command line" in said, said
            assert "apt-get install php-cgi" in said and "(cgi-fcgi)" in said and '"(cli)"' in said

    def test_php_cgi_under_another_name(self, box: Box) -> None:
        """Older systems call it php."""
        (box.directory / "php").symlink_to(jail.PHP)
        php(box, "").stop()
        text = (box.directory / "box.conf").read_text().replace(jail.PHP, f"{box.directory}/php", 1)
        text = text.replace(f'"socket" => "{box.directory}/php"', f'"socket" => "{box.directory}/s"')
        box.serve(text.replace('"socket" => "', '"socket" => "', 1))
        assert box.get("/a.php").status == 200, box.log()

    def test_missing_and_not_executable(self, place: Path) -> None:
        """Before anything is served."""
        (place / "app").write_text("#!/bin/sh\n")
        (place / "app").chmod(0o644)
        assert f"{place}/nothing does not exist; install it, or correct bin-path" in refused(
            place, f'"bin-path" => "{place}/nothing"'
        )
        assert f"{place}/app cannot be executed; `chmod +x {place}/app`" in refused(
            place, f'"bin-path" => "{place}/app"'
        )
        assert f"{place} cannot be executed" in refused(place, f'"bin-path" => "{place}"')
        assert "there is no program 'no-such-program' on the PATH" in refused(
            place, '"bin-path" => "no-such-program"'
        )

    @pytest.mark.parametrize("path", ["./app", "bin/app", "app", "php-cgi"])
    @pytest.mark.holds("bin-path")
    def test_relative(self, box: Box, path: str) -> None:
        """From the directory that the server was started in, as lighttpd; a bare name also by the PATH."""
        file = box.directory / path
        if path != "php-cgi":
            file.parent.mkdir(exist_ok=True)
            file.write_text(f'#!/bin/sh\necho "cwd $PWD" >&2\nexec {jail.PHP} "$@"\n')
            file.chmod(0o755)
        (box.directory / "www").mkdir()
        (box.directory / "www/a.php").write_text(PAGE)
        box.serve(
            f'server.modules = ("mod_fastcgi")\nserver.document-root = "{box.directory}/www"\n'
            f'fastcgi.server = (".php" => (("socket" => "{box.directory}/s", "bin-path" => "{path}", '
            '"max-procs" => 1)))\n'
        )
        assert box.get("/a.php").status == 200, box.log()
        if path != "php-cgi":
            box.wait_log(f"cwd {file.parent}")


def test_limits_are_read() -> None:
    found = {f"{limit}" for limit in limits((("as", "512M"), ("nofile", "10:20"), ("cpu", "2min")))}
    assert found == {"as 536870912:536870912", "nofile 10:20", "cpu 120:120"}
    assert limits((("core", "0:infinity"),))[0].hard == -1
    for name, text, reason in (
        ("nofiles", "1", 'there is no limit "nofiles"; did you mean "nofile"'),
        ("LimitNOFILE", "1", 'did you mean "nofile"'),
        ("nofile", "many", "takes a number, SOFT:HARD"),
        ("nofile", "1K", "takes a number, SOFT:HARD"),
        ("as", "1X", r'takes a number of bytes (also "1K"'),
        ("as", "-1", "takes a number of bytes"),
        ("nofile", "20:10", "soft value above its hard one"),
        ("nofile", "infinity:10", "soft value above its hard one"),
        ("as", "9999999999T", "takes a number of bytes"),
    ):
        with pytest.raises(ValueError, match=re.escape(reason)):
            limits(((name, text),))
    with pytest.raises(ValueError, match="twice"):
        limits((("as", "1"), ("as", "2")))


def test_masks_are_read() -> None:
    assert file_mask("027") == file_mask("0027") == 0o27
    for text in ("27", "888", "1777", "0o27", "-27"):
        with pytest.raises(ValueError, match="three octal digits"):
            file_mask(text)


def test_a_path_inside_is_found_from_outside(place: Path) -> None:
    """Links and dots are followed as from inside, and never lead out."""
    root = place / "root"
    (root / "data/inner").mkdir(parents=True)
    for name, target in (
        ("abs", "/data"),
        ("rel", "data/inner"),
        ("up", "../../../../data"),
        ("loop", "/loop"),
    ):
        (root / name).symlink_to(target)
    for path, expected in (
        ("/abs/x", "/data/x"),
        ("/rel/../y", "/data/y"),
        ("/up/inner", "/data/inner"),
        ("/../../etc/passwd", "/etc/passwd"),
        ("/missing/../z", "/z"),
        ("/", "/"),
    ):
        assert outside(str(root), path).rstrip("/") == f"{root}{expected}".rstrip("/"), path
    assert outside(None, "/abs/x") == "/abs/x"
    with pytest.raises(OSError, match="symbolic links"):
        outside(str(root), "/loop/x")


def test_nothing_asked_for_is_nothing_done() -> None:
    assert confinement(PoolDefinition("a", "fastcgi")) == FREE
    reader, writer = os.pipe()
    start = starting.Launch(("/bin/true",), {}, current(), None, reader, writer)
    pid = starting.launch(start)
    assert os.waitpid(pid, 0)[1] == 0
    os.close(reader)
    os.close(writer)
