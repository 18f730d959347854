"""Memory that will not hold what a configuration lets run is said, by estimate and by measurement."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.config import PoolDefinition
from appliance.supervisor import memory
from appliance.supervisor.room import Need, available, expected, shortage
from recipes.trac.machine import PROCESS_MIB
from tests import jail
from tests.box import Box
from tests.trac_projects import Projects
from tests.waiting import until

MIB = 1 << 20
USER = 'server.username = "www-data"\n' if os.geteuid() == 0 else ""


def configuration(box: Box, command: str, more: str) -> str:
    return (
        f'{USER}server.modules = ("mod_fastcgi")\nserver.document-root = "{box.directory}"\n'
        f'fastcgi.server = (".php" => (("socket" => "{box.directory}/php", "bin-path" => "{command}", '
        f'"min-procs" => 1, {more})))\n'
    )


def test_too_many_by_estimate(box: Box) -> None:
    """PHP is known: the warning comes with the start, and names what to change."""
    children = '"bin-environment" => ("PHP_FCGI_CHILDREN" => "2")'
    box.serve(configuration(box, jail.PHP, f'"max-procs" => 65535, {children}'))
    line = box.wait_log("memory may not hold what may run")
    assert "the pool 'php' up to 65535 processes with 2 children of 32 MiB" in line
    assert "lower max-procs or PHP_FCGI_CHILDREN" in line


def test_too_many_by_measurement(box: Box) -> None:
    """A program that nobody knows is weighed while it runs: once is said, not again."""
    (box.directory / "app").symlink_to(jail.PHP)
    box.serve(configuration(box, f"{box.directory}/app", '"max-procs" => 65535'))
    line = box.wait_log("memory may not hold what may run", 20)
    assert "the pool 'php' up to 65535 processes of " in line
    assert box.log().count("memory may not hold") == 1


def test_what_fits_is_not_mentioned(box: Box) -> None:
    box.serve(configuration(box, jail.PHP, '"max-procs" => 1'))
    assert "memory may not hold" not in box.log()


def test_the_sum_counts() -> None:
    """What runs already is not needed once more."""
    needs = [Need("a", 4, 10 * MIB, 20 * MIB), Need("b", 2, 30 * MIB, 0, 3)]
    assert shortage(needs, 80 * MIB) is None
    text = shortage(needs, 80 * MIB - 1)
    assert text is not None
    assert "the pool 'b' up to 2 processes with 3 children of 30 MiB. That is 80 MiB more than now" in text
    assert shortage([], 0) is None


def test_what_is_known_before_the_start() -> None:
    php = PoolDefinition(
        "php", "fastcgi", command=("/usr/bin/php-cgi8.2",), environment=(("PHP_FCGI_CHILDREN", "3"),)
    )
    assert expected([php, PoolDefinition("a", "fastcgi", command=("/bin/a",))]) == [
        Need("php", 4, 48 * MIB, 0, 3)
    ]


def test_available_memory_is_that_of_the_machine_or_less() -> None:
    text = Path("/proc/meminfo").read_text()
    total = int(text.split("MemTotal:")[1].split()[0]) << 10
    assert 0 < available() <= total


@pytest.mark.slow
def test_a_trac_process_stays_within_what_the_recipe_reckons_with(box: Box, projects: Projects) -> None:
    """After all kinds of pages, many times."""
    box.recipe("trac", "--parent-dir", projects.parent, "--processes", "1")
    names = [path.name for path in sorted(projects.parent.iterdir()) if path.is_dir()][:2]
    until(lambda: box.application_pids(), 60.0, "no process", box.log)
    for _ in range(20):
        for name in names:
            for page in ("wiki", "timeline", "report/1", "query", "roadmap", "search?q=a"):
                box.get(f"/{name}/{page}")
    (pid,) = box.application_pids()
    assert memory.memory(pid) < PROCESS_MIB * MIB
