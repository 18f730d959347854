"""`fcgibox app` started by a real Apache's mod_fcgid, from a script that --write-script made."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.box import ROOT, clean_environment, program
from tests.fronts.servers import Apache
from tests.fronts.walk import Crowd, log_in, visit
from tests.processes import alive
from tests.trac_projects import Projects
from tests.waiting import until

_ALLOWED = "<Directory {}>\n  Require all granted\n</Directory>\nFcgidMaxRequestLen 52428800\n"
_LOGIN = """
<Location {}/login>
  AuthType Basic
  AuthName Trac
  AuthUserFile {}
  Require valid-user
</Location>
"""


@pytest.fixture
def apache(place: Path) -> Iterator[Apache]:
    """A real Apache, not started yet."""
    with Apache(place / "apache") as server:
        yield server


def write(script: Path, *words: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """`fcgibox app WORDS… --write-script SCRIPT`."""
    return subprocess.run(
        [*program(), "app", *map(str, words), "--write-script", str(script)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=clean_environment(),
        timeout=60,
    )


def test_one_environment_at_a_prefix(apache: Apache, projects: Projects, place: Path) -> None:
    script = place / "trac.fcgi"
    done = write(script, "trac", "--env", projects.single.name, cwd=projects.single.parent)
    assert done.returncode == 0 and f"ScriptAlias /trac {script}/\n" in done.stdout, done.stderr
    aliases = f"ScriptAlias /trac {script}/\n"
    login = _LOGIN.format("/trac", projects.passwords())
    apache.serve(_ALLOWED.format(place) + aliases + "FcgidMaxProcessesPerClass 2\n" + login)
    visit(apache, "/trac")
    log_in(apache, "/trac")
    crowd = Crowd()
    crowd.run(6, 4, lambda number: _ok(apache, "/trac/wiki"))
    assert not crowd.failures and crowd.longest < 20, (crowd, apache.log())
    processes = apache.descendants()
    assert apache.stop() == 0
    until(lambda: not any(map(alive, processes)), 10, "Apache's application processes are left")


def test_a_parent_directory_at_the_root(apache: Apache, projects: Projects, place: Path) -> None:
    script = place / "trac.fcgi"
    assert "TRAC_ENV_PARENT_DIR" in write(script, "trac").stdout
    apache.serve(
        f"{_ALLOWED.format(place)}FcgidInitialEnv TRAC_ENV_PARENT_DIR {projects.parent}\n"
        f"ScriptAlias / {script}/\nFcgidMaxProcessesPerClass 1\n"
    )
    visit(apache, "/alpha")
    assert "Beta Project" in apache.fetch("/").text


def test_paths_of_a_wsgi_application(apache: Apache, place: Path) -> None:
    (place / "echo.py").write_text(
        "import json\n\n"
        "def application(environ, start):\n"
        "    start('200 OK', [('Content-Type', 'application/json')])\n"
        "    return [json.dumps([environ['SCRIPT_NAME'], environ['PATH_INFO']]).encode()]\n"
    )
    script = place / "echo.fcgi"
    done = write(script, "wsgi", "echo:application", "--chdir", ".", cwd=place)
    assert done.returncode == 0, done.stderr
    # Without the slash at the end the bare prefix has an empty PATH_INFO, as CGI wants it.
    apache.serve(
        f"{_ALLOWED.format(place)}ScriptAlias /with {script}/\nScriptAlias /without {script}\n"
        "FcgidMaxProcessesPerClass 1\n"
    )
    for target, name, info in (
        ("/with", "/with", "/"),
        ("/with/a%20b//c", "/with", "/a b/c"),
        ("/without", "/without", ""),
        ("/without/c/", "/without", "/c/"),
    ):
        assert json.loads(_ok(apache, target)) == [name, info], target


def test_what_is_not_a_script_of_ours_is_left_alone(projects: Projects, place: Path) -> None:
    script = place / "trac.fcgi"
    script.write_text("#!/usr/bin/python\n")
    done = write(script, "trac", "--env", projects.single)
    assert done.returncode == 1 and "is not a script of ours" in done.stderr
    assert script.read_text() == "#!/usr/bin/python\n"
    script.unlink()
    for _ in range(2):
        assert write(script, "trac", "--env", projects.single).returncode == 0, "also over its own"
    assert [path.name for path in place.iterdir() if "trac.fcgi" in path.name] == ["trac.fcgi"]
    missing = write(place / "no/where.fcgi", "trac", "--env", projects.single)
    assert missing.returncode == 1 and f"mkdir -p {place}/no" in missing.stderr
    assert write(script, "trac", "--env", projects.single, "--socket", "x").returncode == 2


def _ok(apache: Apache, target: str) -> str:
    answer = apache.fetch(target)
    assert answer.status == 200, (answer, apache.log())
    return answer.text
