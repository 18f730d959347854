"""Templates: applications forked from a warm process, adopted by us, outliving what forked them."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from tests import processes
from tests.supervisor.conftest import Supervised
from tests.waiting import until

WARM = """#!{python}
import os, signal, socket, sys, time
sys.path.insert(0, {root!r})
from appliance.application import template

def warm():
    {warm}
    print("warming", flush=True)
    return None

def serve(application, listener, stop):
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    print("serving", listener.getsockname(), file=sys.stderr, flush=True)
    while True:
        time.sleep(60)

template.run(template.control_socket(os.environ), warm, serve)
"""


def templated(server: Supervised, warm: str = "pass", maximum: int = 3) -> str:
    script = server.directory / "warm.py"
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    script.write_text(WARM.format(python=sys.executable, root=root, warm=warm))
    script.chmod(0o755)
    return (
        f'fastcgi.server = (".x" => ("app" => ("bin-path" => "{script}", '
        f'"socket" => "{server.directory}/app.sock", "template" => "enable", '
        f'"min-procs" => 2, "max-procs" => {maximum})))\n'
    )


def both(server: Supervised) -> list[int]:
    pids = server.pids()
    return pids if len(pids) == 2 else []


@pytest.mark.holds("template")
def test_applications_are_adopted_and_have_their_own_groups(supervised: Supervised) -> None:
    supervised.start(templated(supervised))
    pids = until(lambda: both(supervised))
    template = supervised.pool()["template"]
    assert {template, *pids} <= processes.children(supervised.pid)
    assert {os.getpgid(pid) for pid in pids} == set(pids)
    assert [m["slots"] for m in supervised.messages("process")] == [1, 1], supervised.log()
    until(lambda: f"app-0: serving {supervised.directory}/app.sock-0" in supervised.log())


def test_a_killed_template_is_replaced_and_its_applications_live(supervised: Supervised) -> None:
    supervised.start(templated(supervised))
    pids = until(lambda: both(supervised))
    old = supervised.pool()["template"]
    os.kill(old, signal.SIGKILL)
    new = until(lambda: supervised.pool()["template"] not in (None, old) and supervised.pool()["template"])
    assert supervised.pids() == pids
    supervised.front(say={"type": "want", "pool": "app", "n": 1})
    until(lambda: len(supervised.pids()) == 3, 10, "no third process", supervised.log)
    assert processes.alive(new)


def test_a_killed_application_is_forked_again(supervised: Supervised) -> None:
    supervised.start(templated(supervised))
    pids = until(lambda: both(supervised))
    os.kill(pids[0], signal.SIGKILL)
    until(lambda: both(supervised) and pids[0] not in supervised.pids())
    (lost,) = supervised.messages("gone")
    assert lost["process"] == "app-0" and "SIGKILL" in lost["reason"]


FORGER = """#!{python}
import os, socket, time
supervisor = os.getppid()
control = socket.socket(fileno=int(os.environ["FCGIBOX_TEMPLATE"]))
control.send(b"ready")
order = control.recv(4096)
if os.fork() == 0:
    if os.fork():
        os._exit(0)
    os.setpgid(0, 0)
    while os.getppid() != supervisor:
        time.sleep(0.001)
    with open({file!r}, "w") as file:
        file.write(str(os.getpid()) + " ")
    control.send(b"up app-99")
    control.close()
    while True:
        time.sleep(60)
while control.recv(4096):
    pass
"""


def test_an_application_that_was_given_up_does_not_live_on(supervised: Supervised) -> None:
    note = supervised.directory / "pid"
    note.touch()
    script = supervised.directory / "warm.py"
    text = templated(supervised)
    script.write_text(FORGER.format(python=sys.executable, file=str(note)))
    supervised.start(text)
    until(lambda: "after it had been given up" in supervised.log(), 5, "not noticed", supervised.log)
    until(lambda: not processes.alive(int(note.read_text())))


def test_a_template_that_cannot_start_says_why_and_the_pool_fails(supervised: Supervised) -> None:
    supervised.start(templated(supervised, warm='sys.exit("the environment needs an upgrade")'))
    until(lambda: supervised.pool()["state"] == "failing", 15, "not failing", supervised.log)
    reason = supervised.pool()["reason"]
    assert "template could not start: exit status 1" in reason and "needs an upgrade" in reason
    supervised.signal(signal.SIGTERM)
    assert supervised.wait() == 0


def test_a_killed_supervisor_takes_template_and_applications_along(supervised: Supervised) -> None:
    supervised.start(templated(supervised))
    until(lambda: both(supervised))
    everybody = processes.family(supervised.pid)
    assert len(everybody) == 6
    supervised.signal(signal.SIGKILL)
    until(lambda: not any(processes.alive(pid) for pid in everybody), 2)


def test_a_stop_ends_all(supervised: Supervised) -> None:
    supervised.start(templated(supervised))
    until(lambda: both(supervised))
    everybody = processes.family(supervised.pid)
    supervised.signal(signal.SIGTERM)
    assert supervised.wait() == 0
    assert not any(processes.alive(pid) for pid in everybody)
    assert "killed" not in supervised.log(), supervised.log()


def test_a_stop_while_it_warms_is_no_failure(supervised: Supervised) -> None:
    gate = supervised.directory / "gate"
    os.mkfifo(gate)
    supervised.start(templated(supervised, warm=f"open({str(gate)!r}).read()"))
    until(lambda: supervised.pool()["template"] is not None and len(supervised.pool()["processes"]) == 2)
    supervised.signal(signal.SIGTERM)
    assert supervised.wait() == 0
    assert "could not be started" not in supervised.log(), supervised.log()
    assert "app-2" not in supervised.log(), supervised.log()
