"""What freezing into one file could break, beside what other tests see: each command, children, languages.

They hold for the installed program as well; FCGIBOX_PROGRAM=dist/fcgibox has them prove the executable.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests import processes
from tests.box import Box
from tests.trac_projects import Projects

PHP = """
server.modules = ( "mod_fastcgi" )
server.document-root = "{root}"
fastcgi.server = ( ".php" => ((
  "socket" => "{root}/php.sock", "bin-path" => "/usr/bin/php-cgi", "max-procs" => 1
)) )
"""


def bare(box: Box, *words: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """`env -i fcgibox …`."""
    return subprocess.run(
        [*box.program, *map(str, words)], input=stdin, capture_output=True, text=True, env={}, timeout=60
    )


def test_passwords(box: Box) -> None:
    file = box.directory / "htpasswd"
    done = bare(box, "passwd", file, "joe", stdin="secret\n")
    assert done.returncode == 0, done.stderr
    assert file.read_text().startswith("joe:$2")
    assert bare(box, "passwd", "--verify", file, "joe", stdin="secret\n").returncode == 0
    assert bare(box, "passwd", "--verify", file, "joe", stdin="wrong\n").returncode == 1


def test_trac_admin(box: Box, projects: Projects) -> None:
    listed = bare(box, "trac-admin", projects.single, "permission", "list")
    assert listed.returncode == 0 and "WIKI_VIEW" in listed.stdout, listed.stderr
    target = box.directory / "deployed"
    done = bare(box, "trac-admin", projects.single, "deploy", target)
    assert done.returncode == 0, done.stderr
    assert (target / "htdocs" / "common" / "css" / "trac.css").is_file()
    assert (target / "cgi-bin" / "trac.fcgi").is_file()


def test_a_second_start_takes_what_the_first_made(box: Box, place: Path) -> None:
    environment = place / "project"
    box.recipe("trac", "--env", environment)
    assert box.get("/wiki").status == 200
    assert box.stop() == 0
    box.wait_nothing_left()
    before = (environment / "conf" / "trac.ini").read_bytes()
    box.start()
    assert box.get("/wiki").status == 200
    assert (environment / "conf" / "trac.ini").read_bytes() == before
    assert box.log().count("Created a Trac environment") == 1


def test_trac_speaks_french(box: Box, projects: Projects) -> None:
    box.recipe("trac", "--env", projects.single)
    page = box.get("/wiki", headers=[("Accept-Language", "fr")])
    assert page.status == 200 and "Préférences" in page.text


def test_a_foreign_program_does_not_get_our_libraries(box: Box) -> None:
    box.environment["LD_LIBRARY_PATH"] = "/usr/local/lib"
    (box.directory / "index.php").write_text("<?php echo getmypid();")
    box.serve(PHP.format(root=box.directory))
    pid = int(box.get("/index.php").body)
    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    assert b"LD_LIBRARY_PATH=/usr/local/lib" in environment
    assert not [entry for entry in environment if entry.startswith((b"_PYI_", b"LD_LIBRARY_PATH_ORIG"))]
    mapped = {line.split()[-1] for line in Path(f"/proc/{pid}/maps").read_text().splitlines()}
    assert not [path for path in mapped if "_MEI" in path]


def test_as_root_only_the_supervisor_keeps_its_rights(box: Box, projects: Projects) -> None:
    box.recipe("trac", "--env", projects.single)
    assert box.get("/wiki").status == 200
    owner = os.stat(projects.single).st_uid if os.geteuid() == 0 else os.geteuid()
    for pid in (box.front_pid(), box.template_pid(), *box.application_pids()):
        assert processes.owner(pid) == owner
