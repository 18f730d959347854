"""min-procs = 0 and idle-timeout with a real program: started by a request, ended when nobody asks."""

from __future__ import annotations

import os

import pytest

from tests import jail, processes
from tests.box import Box
from tests.waiting import until


@pytest.mark.holds("idle-timeout", "min-procs")
def test_started_by_a_request_and_ended_when_idle(box: Box) -> None:
    """Down to nothing, with kill-signal, its socket too; the next request starts another."""
    user = 'server.username = "www-data"\n' if os.geteuid() == 0 else ""
    (box.directory / "a.php").write_text('<?php echo getmypid(), " ", $_SERVER["MARK"];')
    box.serve(
        f'{user}server.modules = ("mod_fastcgi")\nserver.document-root = "{box.directory}"\n'
        f'fastcgi.server = (".php" => (("socket" => "{box.directory}/php", "bin-path" => "{jail.PHP}", '
        '"bin-environment" => ("MARK" => "x"), "min-procs" => 0, "max-procs" => 2, "idle-timeout" => 1, '
        '"kill-signal" => 10)))\n'
    )
    assert box.application_pids() == []
    answered = box.get("/a.php")
    assert answered.status == 200 and answered.body.endswith(b" x"), box.log()
    (pid,) = box.application_pids()
    assert (box.directory / "php-0").is_socket()
    until(lambda: not processes.alive(pid), 20.0, "it stays", box.log)
    until(lambda: box.application_pids() == [], 10.0, "it is still listed", box.log)
    assert not (box.directory / "php-0").exists()
    assert box.get("/a.php").status == 200
    assert box.application_pids() != [pid]
    assert " [error] " not in box.log(), box.log()
