"""Trac as we serve it: `fcgibox app trac`, asked over its FastCGI socket."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.application import trac_remembered as remembered
from tests import trac_projects
from tests.application.front import Front, Process, Reply
from tests.application.supervisor import Template, adopt_orphans
from tests.box import clean_environment, program
from tests.trac_projects import Projects

Start = Callable[..., Process]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Projects:
    """A site that the tests of this module share and must not change."""
    return trac_projects.copied(tmp_path_factory.mktemp("trac") / "site")


@contextlib.contextmanager
def trac(place: Path, *options: str | Path, **environment: str) -> Iterator[Process]:
    """`fcgibox app trac` on a unix socket."""
    path = str(place / "trac.sock")
    words = [*program(), "app", "trac", *map(str, options), "--socket", path]
    process = Process(words, path, place / "trac.log", **environment)
    try:
        yield process
    finally:
        process.end()


@pytest.fixture(scope="module")
def parent(site: Projects, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """The site's parent directory, mounted at /projects."""
    with trac(tmp_path_factory.mktemp("parent"), "--parent-dir", site.parent) as process:
        yield process


def cookies(reply: Reply) -> str:
    """The last cookie that the answer sets, with its attributes."""
    return reply.headers.get("set-cookie", "")


class TestProjects:
    """Several environments by name."""

    def test_each_is_at_its_name(self, parent: Process) -> None:
        for name, title in (("alpha", b"Alpha Project"), ("beta", b"Beta Project")):
            reply = parent.ask(f"/{name}/wiki", SCRIPT_NAME="/projects")
            assert (reply.status, reply.ended) == (200, 0), parent.log()
            assert title in reply.body and f'href="/projects/{name}/wiki"'.encode() in reply.body

    def test_without_a_slash_behind_the_name(self, parent: Process) -> None:
        assert b"Alpha Project" in parent.ask("/alpha", SCRIPT_NAME="/projects").body

    @pytest.mark.parametrize("path", ["", "/"])
    def test_the_index(self, parent: Process, path: str) -> None:
        reply = parent.ask(path, SCRIPT_NAME="/projects")
        assert reply.status == 200
        text = reply.body.decode()
        positions = [text.index(f'href="/projects/{name}/"') for name in ("alpha", "beta", "gamma")]
        assert positions == sorted(positions)
        assert "Gamma (empty)" in text and 'name="viewport"' in text and "Unavailable" not in text

    @pytest.mark.parametrize(
        "path", ["/nobody", "/nobody/wiki", "/..", "/../alpha", "/.hidden", "/%00", "/<b>"]
    )
    def test_an_unknown_name_is_a_404_page(self, parent: Process, path: str) -> None:
        reply = parent.ask(path, SCRIPT_NAME="/projects")
        assert reply.status == 404
        assert b"There is no project" in reply.body and b'href="/projects/"' in reply.body
        assert b"<b>" not in reply.body

    def test_plugins_of_an_environment(self, parent: Process) -> None:
        assert parent.ask("/alpha/hello").body == b"hello\n"
        assert b"badge of anonymous" in parent.ask("/beta/badge").body
        assert parent.ask("/beta/chrome/badge/badge.css").body == b"h1 { color: green }\n"
        assert parent.ask("/beta/hello").status == 404

    def test_a_project_that_appears_later(self, site: Projects, place: Path) -> None:
        (place / "all").mkdir()
        with trac(place, "--parent-dir", place / "all") as process:
            assert b"There is no project yet" in process.ask("/").body
            assert process.ask("/néw/wiki").status == 404
            shutil.copytree(site.project("gamma"), place / "all" / "néw")
            reply = process.ask("/néw/wiki")
            assert reply.status == 200 and b'href="/n%C3%A9w/timeline"' in reply.body
            assert b'href="/n%C3%A9w/"' in process.ask("/").body

    def test_broken_environments_break_nothing_else(self, site: Projects, place: Path) -> None:
        for name in ("old", "lost", "cut", "mute"):
            shutil.copytree(site.project("gamma"), place / "all" / name)
        (place / "all" / "not-trac").mkdir()
        old = place / "all" / "old"
        downgrade(old)
        (place / "all/lost/db/trac.db").unlink()
        (place / "all/cut/VERSION").unlink()
        (place / "all/mute/conf/trac.ini").write_bytes(b"\xff\xfe no ini")
        shutil.copytree(site.project("beta"), place / "all" / "beta")
        with trac(place, "--parent-dir", place / "all") as process:
            index = process.ask("/")
            assert f"{old} needs an upgrade; run: fcgibox trac-admin {old} upgrade" in process.log()
            assert index.status == 200 and index.body.count(b"Unavailable:") == 4
            assert b"not-trac" not in index.body and b'href="/beta/"' in index.body
            for name in ("old", "lost", "cut", "mute"):
                reply = process.ask(f"/{name}/wiki")
                assert (reply.status, b"This project is unavailable" in reply.body) == (500, True)
                assert b"Traceback" not in reply.body and str(place).encode() not in reply.body
            assert process.ask("/beta/wiki").status == 200
            done = trac_admin(old, "upgrade", "--no-backup")
            assert done.returncode == 0, done.stderr
            assert process.ask("/old/wiki").status == 200, "without a restart"

    def test_names_and_directories_by_options(self, site: Projects, place: Path) -> None:
        options = ("--env", f"first one={site.single}", "--env", site.project("gamma"))
        with trac(place, *options) as process:
            assert b"Single Project" in process.ask("/first one/wiki").body
            assert b'href="/first%20one/wiki"' in process.ask("/first one/wiki").body
            assert process.ask("/gamma/wiki").status == 200
            assert process.ask("/single/wiki").status == 404

    def test_by_variables(self, site: Projects, place: Path) -> None:
        several = {"TRAC_ENVS": f"one={site.single}:two={site.project('gamma')}"}
        for variables, path in (
            (several, "/one/wiki"),
            ({"TRAC_ENV": str(site.single)}, "/wiki"),
            ({"TRAC_ENV_PARENT_DIR": str(site.parent)}, "/gamma/wiki"),
        ):
            with trac(place, **variables) as process:
                assert process.ask(path).status == 200, variables
                assert process.stop() == 0

    def test_an_index_of_their_own(self, site: Projects, place: Path) -> None:
        template = place / "own.html"
        template.write_text("# for p in projects:\n${p.name}=${p.href} \n# endfor\nTrac ${trac.version}")
        with trac(place, "--parent-dir", site.parent, TRAC_ENV_INDEX_TEMPLATE=str(template)) as process:
            text = process.ask("/").body.decode()
        assert "Alpha Project=/alpha" in text and "Trac 1.6" in text


class TestOne:
    """One environment, and how it is seen."""

    @pytest.fixture(scope="class")
    @staticmethod
    def single(site: Projects, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
        place = tmp_path_factory.mktemp("single")
        with trac(place, "--env", site.single, FCGIBOX_XSENDFILE=str(site.single)) as process:
            yield process

    def test_pages_and_files(self, single: Process) -> None:
        for path in ("/", "/wiki", "/ticket/1", "/timeline", "/report/1", "/query", "/roadmap", "/search"):
            reply = single.ask(path, SCRIPT_NAME="/trac")
            assert reply.status == 200 and b'href="/trac/timeline"' in reply.body, path
        assert single.ask("/no/such/page").status == 404
        assert single.ask("/chrome/common/css/trac.css").headers["content-type"].startswith("text/css")

    def test_a_file_of_the_environment_is_left_to_the_front(self, site: Projects, single: Process) -> None:
        (site.single / "htdocs" / "own.txt").write_text("own")
        reply = single.ask("/chrome/site/own.txt")
        assert reply.headers["x-sendfile"] == str(site.single / "htdocs" / "own.txt")
        assert reply.body == b""
        stamp = reply.headers["last-modified"]
        assert single.ask("/chrome/site/own.txt", HTTP_IF_MODIFIED_SINCE=stamp).status == 304

    def test_a_mount_that_has_to_be_quoted(self, single: Process) -> None:
        reply = single.ask("/wiki", SCRIPT_NAME="/mein trac/ä")
        assert b'href="/mein%20trac/%C3%A4/timeline"' in reply.body
        assert "Path=/mein%20trac/%C3%A4" in cookies(reply)

    @pytest.mark.parametrize("user", ["jörg", "Ирина", "joe"])
    def test_a_user_name_is_unicode(self, single: Process, user: str) -> None:
        with single.connect() as front:
            reply = front.ask("/login", keep=True, REMOTE_USER=user, HTTP_REFERER="http://front.example/wiki")
            assert reply.status == 302 and reply.headers["location"] == "http://front.example/wiki"
            cookie = next(part for part in cookies(reply).split(";") if "trac_auth=" in part)
            page = front.ask("/wiki", HTTP_COOKIE=cookie).body.decode()
        assert f'logged in as <span class="trac-author-user">{user}</span>' in page, page

    def test_each_visitor_has_his_language(self, single: Process) -> None:
        languages = {"fr": "Connexion", "de": "Anmelden", "en": "Login", "ru": "Войти"}
        assert len(languages) < remembered._LANGUAGES
        for _ in range(2):
            for language, word in languages.items():
                page = single.ask("/wiki", HTTP_ACCEPT_LANGUAGE=language).body.decode()
                assert f">{word}</a>" in page, page
                assert not any(f">{other}</a>" in page for other in languages.values() if other != word)

    def test_its_log_follows_logrotate(self, site: Projects, single: Process) -> None:
        log = site.single / "log" / "trac.log"
        assert single.ask("/login").status == 500
        log.rename(log.with_name("trac.log.1"))
        assert single.ask("/login").status == 500
        assert "HTTPInternalServerError" in log.read_text()

    def test_a_stranger_cannot_log_in(self, single: Process) -> None:
        assert single.ask("/login").status == 500

    def test_cookies_are_secure_over_https(self, single: Process) -> None:
        assert "secure" not in cookies(single.ask("/wiki")).lower()
        assert "secure" in cookies(single.ask("/wiki", HTTPS="on")).lower()
        assert "secure" not in cookies(single.ask("/wiki")).lower()

    def test_the_address_that_browsers_see(self, site: Projects, place: Path) -> None:
        options = ("--env", site.single, "--url", "https://example.org/public")
        with trac(place, *options) as process:
            reply = process.ask("/login", REMOTE_USER="joe", SCRIPT_NAME="/inside")
            assert reply.headers["location"] == "https://example.org/public"
            page = process.ask("/wiki", SCRIPT_NAME="/inside")
            assert b'href="/public/timeline"' in page.body and b"/inside" not in page.body
            assert "secure" in cookies(page).lower() and "Path=/public" in cookies(page)
            assert process.stop() == 0
        with trac(place, "--env", f"p={site.single}", FCGIBOX_URL="https://example.org") as process:
            reply = process.ask("/p/login", REMOTE_USER="joe", SCRIPT_NAME="/inside")
            assert reply.headers["location"] == "https://example.org/inside/p"

    def test_an_upload_and_its_download(self, site: Projects, place: Path) -> None:
        shutil.copytree(site.single, place / "env")
        content = bytes(5 << 20)
        with trac(place, "--env", place / "env") as process, process.connect() as front:
            form = front.ask("/attachment/wiki/WikiStart?action=new", keep=True, REMOTE_USER="admin")
            token = form.body.decode().split('name="__FORM_TOKEN" value="')[1].split('"')[0]
            fields = {"__FORM_TOKEN": token, "action": "new", "realm": "wiki", "id": "WikiStart"}
            boundary = "----frontier"
            body = "".join(
                f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
                for name, value in fields.items()
            ).encode()
            body += (
                f'--{boundary}\r\nContent-Disposition: form-data; name="attachment"; filename="zeros.bin"\r\n'
                "Content-Type: application/octet-stream\r\n\r\n"
            ).encode()
            body += content + f"\r\n--{boundary}--\r\n".encode()
            begin = time.monotonic()
            reply = front.ask(
                "/attachment/wiki/WikiStart?action=new",
                body,
                keep=True,
                REMOTE_USER="admin",
                CONTENT_TYPE=f"multipart/form-data; boundary={boundary}",
                HTTP_COOKIE=f"trac_form_token={token}",
            )
            assert reply.status == 303, reply.body[:2000]
            assert time.monotonic() - begin < 3
            reply = front.ask("/raw-attachment/wiki/WikiStart/zeros.bin")
            assert reply.body == content


def test_nothing_is_written_to_trac_ini(site: Projects, place: Path) -> None:
    shutil.copytree(site.parent, place / "projects")
    files = sorted(place.glob("projects/*/conf/trac.ini"))
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in files]
    options = ("--parent-dir", place / "projects", "--url", "https://example.org/x", "--plugins-dir", place)
    with trac(place, *options, FCGIBOX_XSENDFILE=str(place)) as process:
        for name in ("alpha", "beta", "gamma"):
            assert process.ask(f"/{name}/wiki").status == 200
        assert process.ask("/alpha/admin/general/basics", REMOTE_USER="admin").status == 200
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in files] == before


def test_a_saved_configuration_does_not_take_our_overrides_along(site: Projects, place: Path) -> None:
    shutil.copytree(site.project("alpha"), place / "env")
    options = ("--env", place / "env", "--url", "https://example.org/x")
    with trac(place, *options, FCGIBOX_XSENDFILE=str(place)) as process, process.connect() as front:
        form = front.ask("/admin/general/basics", keep=True, REMOTE_USER="admin").body.decode()
        token = form.split('name="__FORM_TOKEN" value="')[1].split('"')[0]
        fields = f"__FORM_TOKEN={token}&name=Renamed&url=&descr=&default_handler=WikiModule"
        reply = front.ask(
            "/admin/general/basics",
            fields.encode(),
            keep=True,
            REMOTE_USER="admin",
            CONTENT_TYPE="application/x-www-form-urlencoded",
            HTTP_COOKIE=f"trac_form_token={token}",
        )
        assert reply.status == 303
        assert b"Renamed" in front.ask("/wiki").body
    text = (place / "env/conf/trac.ini").read_text()
    assert "name = Renamed" in text
    assert "secure_cookies = enabled" not in text and "example.org" not in text


def test_a_changed_configuration_is_noticed(site: Projects, place: Path) -> None:
    shutil.copytree(site.project("gamma"), place / "env")
    settings = place / "env" / "conf" / "trac.ini"
    with trac(place, "--env", place / "env") as process:
        for number in range(3):
            text = settings.read_text().splitlines()
            text = [f"name = N{number}" if line.startswith("name =") else line for line in text]
            settings.write_text("\n".join(text))
            os.utime(settings, (time.time() + number + 1, time.time() + number + 1))
            assert f"N{number}".encode() in process.ask("/wiki").body


class TestPlugins:
    """--plugins-dir."""

    def test_a_file_an_egg_and_an_unpacked_wheel(self, site: Projects, place: Path) -> None:
        plugins = place / "plugins"
        plugins.mkdir()
        shutil.copy(site.project("alpha") / "plugins/hello_plugin.py", plugins)
        shutil.copy(site.project("beta") / "plugins/Badge-1.0.egg", plugins)
        package = plugins / "wheeled"
        package.mkdir()
        hello = (site.project("alpha") / "plugins/hello_plugin.py").read_text()
        # Trac tells request handlers apart by the names of their classes.
        wheeled = re.sub(r"class \w+", "class Wheeled", hello.replace("'/hello'", "'/wheeled'"))
        (package / "__init__.py").write_text(wheeled)
        info = plugins / "Wheeled-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: Wheeled\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[trac.plugins]\nwheeled = wheeled\n")
        with trac(place, "--parent-dir", site.parent, "--plugins-dir", plugins) as process:
            for name in ("alpha", "beta", "gamma"):
                assert process.ask(f"/{name}/hello").body == b"hello\n", process.log()
                assert process.ask(f"/{name}/wheeled").status == 200
                assert process.ask(f"/{name}/badge").status == 200
                assert process.ask(f"/{name}/chrome/badge/badge.css").body == b"h1 { color: green }\n"
            assert process.log() == ""

    def test_trac_ini_may_disable_one(self, site: Projects, place: Path) -> None:
        shutil.copytree(site.project("gamma"), place / "env")
        with (place / "env/conf/trac.ini").open("a") as settings:
            settings.write("\n[components]\nhello_plugin.* = disabled\n")
        options = ("--env", place / "env", "--plugins-dir", site.project("alpha") / "plugins")
        with trac(place, *options) as process:
            assert process.ask("/hello").status == 404

    def test_a_name_that_is_taken_is_said(self, site: Projects, place: Path) -> None:
        shutil.copytree(site.project("gamma"), place / "env")
        shutil.copy(site.project("alpha") / "plugins/hello_plugin.py", place / "env/plugins/queue.py")
        with trac(place, "--env", place / "env") as process:
            assert process.ask("/hello").status == 404
            assert f"the plugin {place}/env/plugins/queue.py is not loaded" in process.log()

    def test_a_plugin_that_cannot_be_opened_is_its_projects_problem(
        self, site: Projects, place: Path
    ) -> None:
        shutil.copytree(site.project("gamma"), place / "all/bad")
        shutil.copytree(site.project("beta"), place / "all/good")
        (place / "all/bad/plugins/boom.py").write_text(
            "from trac.core import Component, implements\n"
            "from trac.env import IEnvironmentSetupParticipant\n"
            "class Boom(Component):\n"
            "    implements(IEnvironmentSetupParticipant)\n"
            "    def environment_created(self): pass\n"
            "    def environment_needs_upgrade(self): raise SystemExit('boom')\n"
            "    def upgrade_environment(self): pass\n"
        )
        with trac(place, "--parent-dir", place / "all") as process:
            assert process.ask("/bad/wiki").status == 500
            assert process.ask("/good/wiki").status == 200
            assert "SystemExit: boom" in process.log()


class TestTemplate:
    """Trac from a warm template."""

    @pytest.fixture(autouse=True)
    def subreaper(self) -> Iterator[None]:
        adopt_orphans()
        yield
        adopt_orphans(False)

    def test_pages_come_from_forked_processes(self, site: Projects, place: Path) -> None:
        shutil.copytree(site.parent, place / "all")
        downgrade(place / "all/gamma")
        words = [*program(), "app", "trac", "--parent-dir", str(place / "all")]
        with Template(words, place) as template:
            template.wait_ready()
            assert "gamma needs an upgrade" in template.log()
            opened = os.listdir(f"/proc/{template.process.pid}/fd")
            names = [os.readlink(f"/proc/{template.process.pid}/fd/{number}") for number in opened]
            assert not [name for name in names if name.endswith("trac.db")], "databases are closed"
            for database in (place / "all").glob("*/db/trac.db"):
                with contextlib.closing(sqlite3.connect(database)) as connection:
                    assert connection.execute("SELECT count(*) FROM session").fetchone()[0] == 0
            log = (place / "all/alpha/log/trac.log").read_text().splitlines()
            assert [line for line in log if "base_url option not set" not in line] == []
            pids = {}
            for name in ("one", "two"):
                pids[name], path = template.fork(name)
                with Front(path) as front:
                    begin = time.monotonic()
                    reply = front.ask("/alpha/ticket/1", keep=True)
                    assert (reply.status, reply.ended) == (200, 0)
                    assert time.monotonic() - begin < 1, "it was warm"
                    assert front.ask("/gamma/wiki").status == 500
            assert shared(pids["one"]) > 0.4


def shared(pid: int) -> float:
    """The part of a process's memory that it shares with others."""
    sizes = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, size, *_ = line.split()
        sizes[name] = int(size)
    return 1 - sizes["Pss:"] / sizes["Rss:"]


def test_with_twenty_projects_a_small_file_is_as_quick_as_with_one(site: Projects, place: Path) -> None:
    # Collecting twenty projects' heap after each request would make it ten times as slow.
    for number in range(20):
        shutil.copytree(site.project("gamma"), place / "all" / f"p{number}")
    (place / "one").mkdir()
    (place / "one" / "p0").symlink_to(place / "all" / "p0")
    times: dict[str, list[float]] = {"all": [], "one": []}
    with contextlib.ExitStack() as stack:
        fronts = {}
        for name, count in (("all", 20), ("one", 1)):
            log = place / f"log-{name}"
            log.mkdir()
            process = stack.enter_context(trac(log, "--parent-dir", place / name))
            fronts[name] = stack.enter_context(process.connect()), process.process.pid, count
            for number in range(count):
                assert fronts[name][0].ask(f"/p{number}/wiki", keep=True).status == 200
        for _ in range(4):
            for name, (front, pid, count) in fronts.items():
                before = cpu(pid)
                for number in range(300):
                    path = f"/p{number % count}/chrome/common/css/trac.css"
                    assert front.ask(path, keep=True).status == 200
                times[name].append((cpu(pid) - before) / 300)
    assert min(times["all"]) < min(times["one"]) * 1.5, times
    assert min(times["all"]) < 0.001, times


def cpu(pid: int) -> float:
    """Seconds of processor time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "no Trac environment is named"),
        (("--env", "a", "--protocol", "http"), "--protocol http: it is fcgi or scgi"),
        (("--env", "a", "--bind", "1:1", "--socket", "s"), "either --socket or --bind"),
        (("--env", "a", "--socket-mode", "600"), "need --socket"),
        (("--env", "a"), "no listening socket on standard input"),
        (("--env", "a=/x", "--env", "a=/y", "--socket", "s"), "two environments would be at /a: /x and /y"),
        (("--env", "=/x", "--socket", "s"), "cannot be the name of a project"),
        (("--parent-dir", "/nonexistent", "--socket", "s"), "there is no such directory"),
        (("--env", "a", "--socket", "s", "--url", "example.org"), "--url example.org: it is http://"),
        (("--env", "a", "--socket", "s", "--url", "http://h:x/"), "--url http://h:x/"),
        (
            ("--env", "a", "--socket", "s", "--locale", "xx_YY.UTF-8"),
            "the locale xx_YY.UTF-8 is not installed",
        ),
        (("--env", "a", "--socket", "s", "--plugins-dir", "/nonexistent"), "--plugins-dir /nonexistent"),
    ],
)
def test_wrong_options_are_explained(place: Path, options: tuple[str, ...], message: str) -> None:
    done = subprocess.run(
        [*program(), "app", "trac", *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=clean_environment(),
        cwd=place,
        timeout=30,
    )
    assert done.returncode in (1, 2)
    assert message in done.stderr and done.stderr.startswith("fcgibox: "), done.stderr
    assert not list(place.iterdir())


def downgrade(environment: Path) -> None:
    """Make an environment need an upgrade."""
    with contextlib.closing(sqlite3.connect(environment / "db" / "trac.db")) as connection:
        connection.execute("UPDATE system SET value = '44' WHERE name = 'database_version'")
        connection.commit()


def trac_admin(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """`fcgibox trac-admin`."""
    return subprocess.run(
        [*program(), "trac-admin", *map(str, words)],
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=60,
    )


class TestTracAdmin:
    """`fcgibox trac-admin`."""

    def test_an_environment_from_nothing(self, place: Path) -> None:
        done = trac_admin(place / "env", "initenv", "New one", "sqlite:db/trac.db")
        assert done.returncode == 0, done.stderr
        assert "pkg_resources" not in done.stderr
        assert trac_admin(place / "env", "permission", "add", "joe", "TRAC_ADMIN").returncode == 0
        assert "joe" in trac_admin(place / "env", "permission", "list").stdout
        assert trac_admin(place / "env", "config", "set", "project", "descr", "x y").returncode == 0
        assert trac_admin(place / "env", "config", "get", "project", "descr").stdout == "x y\n"
        assert trac_admin(place / "env", "hotcopy", place / "copy").returncode == 0
        assert (place / "copy" / "db" / "trac.db").exists()

    def test_its_advice_can_be_followed(self, site: Projects, place: Path) -> None:
        shutil.copytree(site.project("gamma"), place / "env")
        downgrade(place / "env")
        done = trac_admin(place / "env", "permission", "list")
        assert done.returncode != 0
        assert f'fcgibox trac-admin "{place / "env"}" upgrade' in done.stderr
        assert trac_admin(place / "env", "upgrade").returncode == 0
        assert trac_admin("--help").stdout.startswith("Administer a Trac environment.")
        assert "fcgibox trac-admin </path" in trac_admin("help").stdout

    def test_a_page_that_is_exported_is_not_touched(self, site: Projects, place: Path) -> None:
        shutil.copytree(site.project("gamma"), place / "env")
        page = trac_admin(place / "env", "wiki", "export", "TracAdmin").stdout
        assert "trac-admin" in page and "fcgibox" not in page


def test_zipped_plugins_unpack_to_a_place_of_ours(site: Projects, place: Path) -> None:
    assert zipfile.is_zipfile(site.project("beta") / "plugins/Badge-1.0.egg")
    with trac(place, "--env", site.project("beta"), XDG_CACHE_HOME=str(place / "cache")) as process:
        assert process.ask("/chrome/badge/badge.css").status == 200
    unpacked = list((place / "cache/fcgibox/eggs").rglob("badge.css"))
    assert len(unpacked) == 1
    assert (place / "cache/fcgibox/eggs").stat().st_mode & 0o777 == 0o700
