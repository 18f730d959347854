"""The template: warm once, forked on request, adopted by the supervisor. Driven over the real sockets."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.application import supervisor
from tests.application.front import Front, parameters, request
from tests.application.supervisor import Template, ended, parent_of
from tests.box import clean_environment
from tests.processes import alive
from tests.waiting import until

_WORDS = [sys.executable, "-m", "tests.application.templates"]


@pytest.fixture(autouse=True)
def subreaper() -> Iterator[None]:
    supervisor.adopt_orphans()
    yield
    supervisor.adopt_orphans(False)


@pytest.fixture
def template(place: Path) -> Iterator[Template]:
    with Template([*_WORDS, "echo"], place) as running:
        yield running.wait_ready()


def test_it_forks_applications_that_are_ours(template: Template) -> None:
    for name in ("first", "second"):
        pid, path = template.fork(name)
        with Front(path) as front:
            reply = front.ask("/echo", keep=True)
        answer = json.loads(reply.body)
        assert answer["pid"] == pid, "the kernel told the pid of the process that serves"
        assert parent_of(pid) == os.getpid()
        assert os.getpgid(pid) == pid
        assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
        assert os.readlink(f"/proc/{pid}/fd/2") == str(template.place / f"{name}.log")
    sockets = [os.readlink(entry) for entry in Path(f"/proc/{template.process.pid}/fd").iterdir()]
    assert sum(name.startswith("socket:") for name in sockets) == 1, "the template keeps no listener"


def test_the_heap_is_frozen(template: Template) -> None:
    _, path = template.fork("one")
    with Front(path) as front:
        frozen = json.loads(front.ask("/frozen").body)
    assert frozen["count"] > 5000


def test_an_application_outlives_its_template(template: Template) -> None:
    pid, path = template.fork("one")
    template.process.kill()
    template.process.wait()
    with Front(path) as front:
        assert front.ask("/echo").status == 200
    os.kill(pid, signal.SIGTERM)
    assert ended(pid) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_an_application_finishes_its_request_when_it_is_asked_to_stop(
    template: Template, number: signal.Signals
) -> None:
    pid, path = template.fork("one")
    marker = template.place / "running"
    with Front(path) as front:
        front.send(request(parameters(f"/slow?{marker}"), keep=True))
        until(marker.exists)
        os.kill(pid, signal.SIGINT)  # a terminal's Ctrl-C is the supervisor's matter
        os.kill(pid, number)
        marker.unlink()
        assert front.reply().body == b"done"
    assert ended(pid) == 0


def test_an_interrupt_is_ignored(template: Template) -> None:
    pid, path = template.fork("one")
    for number in (pid, template.process.pid):
        os.kill(number, signal.SIGINT)
    with Front(path) as front:
        assert front.ask("/echo").status == 200
    assert template.fork("two")[0]


def test_the_end_of_the_socket_is_the_end_of_the_template(template: Template) -> None:
    _, path = template.fork("one")
    template.control.close()
    assert template.process.wait(10) == 0
    with Front(path) as front:
        assert front.ask("/echo").status == 200


def test_a_template_that_is_terminated_ends(template: Template) -> None:
    template.process.terminate()
    assert template.process.wait(10) == 0


def test_a_fork_that_fails_is_reported(place: Path) -> None:
    with Template([*_WORDS, "limited"], place) as template:
        template.wait_ready()
        with socket.socket(socket.AF_UNIX) as listener, open(os.devnull, "wb") as errors:
            template.order("fork one", listener.fileno(), errors.fileno())
        said, pid = template.receive()
        assert said == "failed one cannot fork: [Errno 11] Resource temporarily unavailable"
        assert pid == template.process.pid


def test_orders_that_make_no_sense_are_survived(template: Template) -> None:
    template.order("fork")
    template.order("dance one")
    with open(os.devnull, "rb") as null:
        template.order("fork one", null.fileno())
    assert template.fork("one")[0]
    assert "does not understand b'dance one'" in template.log()


def test_a_warm_up_that_fails_says_why(place: Path) -> None:
    with Template([*_WORDS, "fails"], place) as running:
        assert running.process.wait(20) == 1
        assert running.log() == "fcgibox: it cannot be warmed\n"


def test_more_than_one_thread_cannot_be_forked(place: Path) -> None:
    with Template([*_WORDS, "threads"], place) as running:
        assert running.process.wait(20) == 1
        assert "1 more threads (busy-body)" in running.log()


_DYING_SUPERVISOR = """
import os, signal, sys
from pathlib import Path
from tests.application import supervisor
supervisor.adopt_orphans()
words = [sys.executable, "-m", "tests.application.templates", "echo"]
template = supervisor.Template(words, Path(sys.argv[1]))
template.wait_ready()
print(template.process.pid, template.fork("one")[0], template.fork("two")[0], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_all_end_with_the_supervisor(place: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _DYING_SUPERVISOR, str(place)],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        timeout=30,
    )
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == 3
    until(lambda: not any(alive(pid) for pid in pids), 2, "something lives on after the supervisor")
