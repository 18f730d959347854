"""Any process may die at any time: lost is what it was doing, and nothing outlives the supervisor."""

from __future__ import annotations

import signal

from tests import processes
from tests.box import Box
from tests.trac_projects import Projects
from tests.waiting import until

PHP = """
server.document-root = "{root}"
server.modules = ( "mod_fastcgi" )
fastcgi.server = ( ".php" => ((
  "socket" => "{root}/php.sock",
  "bin-path" => "/usr/bin/php-cgi",
  "max-procs" => 1,
  "bin-environment" => ( "PHP_FCGI_CHILDREN" => "4" )
)) )
"""


def test_each_process_of_trac_is_replaced(box: Box, projects: Projects) -> None:
    box.recipe("trac", "--env", projects.single, "--processes", "2-2")
    assert box.get("/wiki").status == 200
    until(lambda: len(box.application_pids()) == 2, 10, "no two processes", box.log)

    killed = box.kill_application()
    until(lambda: killed not in box.application_pids(), 10, "the dead one is still listed", box.log)
    until(lambda: len(box.application_pids()) == 2, 10, "no new process", box.log)
    assert box.get("/wiki").status == 200
    assert box.log_contains("SIGKILL")

    applications = set(box.application_pids())
    template = box.kill_template()
    until(lambda: box.template_pid() != template, 20, "no new template", box.log)
    assert set(box.application_pids()) == applications, "the applications outlive their template"

    assert box.wait_front(box.kill_front(), timeout=1.5)
    assert set(box.application_pids()) == applications, "the applications outlive the front"
    assert box.get("/wiki").status == 200


def test_nothing_outlives_the_supervisor(box: Box, projects: Projects) -> None:
    box.recipe("trac", "--env", projects.single, "--processes", "2-2")
    assert box.get("/wiki").status == 200
    box.kill_supervisor()
    box.wait_nothing_left(timeout=2.0)


def test_no_child_of_php_outlives_the_supervisor(box: Box) -> None:
    (box.directory / "hello.php").write_text('<?php echo "Hello World";')
    box.serve(PHP.format(root=box.directory))
    assert box.get("/hello.php").body == b"Hello World"
    (php,) = box.application_pids()
    until(lambda: len(processes.children(php)) == 4, 5, "no four children", box.log)
    box.kill_supervisor()
    box.wait_nothing_left(timeout=2.0)


def test_the_outer_process_of_the_frozen_program_takes_all_with_it(box: Box, projects: Projects) -> None:
    # Installed or from source there is no outer process: then this is the supervisor itself.
    scratch = box.directory / "tmp"
    scratch.mkdir()
    scratch.chmod(0o1777)
    box.environment["TMPDIR"] = str(scratch)
    box.recipe("trac", "--env", projects.single)
    assert box.get("/wiki").status == 200
    box.signal(signal.SIGKILL)
    box.wait_nothing_left(timeout=2.0)
    # Nor does the directory that it unpacked itself to.
    assert not list(scratch.glob("_MEI*"))
