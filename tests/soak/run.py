"""One run: a site, clients, somebody who kills processes and reloads, samples of memory, and the report."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests import processes
from tests.box import Box
from tests.faults.scripted import descriptors, keep_all, serve_scripted
from tests.soak.clients import Client
from tests.soak.ledger import Ledger
from tests.waiting import until

RELOADS = 0.1  # of the time: until then there are reloads
SETTLED = 0.2  # from here on memory must stay, and there is no reload until
LAST = 0.9  # of the time
CUSTOMARY = 0.5  # seconds between looks of the troublemakers


@dataclass(frozen=True, slots=True)
class Plan:
    """A run."""

    requests: int
    seconds: float
    seed: int
    clients: int = 16
    processes: int = 4
    kill_every: float = 4.0
    reload_every: float = 10.0
    memory: int = 2048  # kB that the front's PSS may move once it is settled


@dataclass(slots=True)
class Report:
    """What happened; `broken` is empty if everything is well."""

    plan: Plan
    ledger: Ledger
    seconds: float
    broken: list[str]
    front: list[str]
    """Descriptors of the front after the drain."""

    def text(self) -> str:
        """For people."""
        ledger = self.ledger
        settled = _settled(self)
        memory = f"{min(settled):.0f} to {max(settled):.0f} kB" if settled else "no sample"
        lines = [
            f"seed {self.plan.seed}: {ledger.requests} requests in {self.seconds:.0f} s,"
            f" {ledger.requests / self.seconds:.0f} a second",
            f"answered      {ledger.gets} GET, {ledger.answered.total()} POST",
            f"clients left  {ledger.leavers}",
            f"kept connection closed before an answer, not run  {len(ledger.closed)}",
            f"processes killed  {len(ledger.killed)}, requests that failed with them  {len(ledger.failed)}",
            f"reloads       {ledger.reloads}",
            f"PSS of the front (anonymous memory), settled  {memory}; all samples, in MB: {self._series()}",
            f"descriptors of the front after the drain  {len(self.front)}",
            *(f"BROKEN: {text}" for text in self.broken),
            "everything holds" if not self.broken else f"{len(self.broken)} rules are broken",
        ]
        return "\n".join(lines)

    def _series(self) -> str:
        """Lowest and highest PSS of each tenth of the time."""
        return " ".join(
            f"{min(found) / 1024:.1f}-{max(found) / 1024:.1f}" for found in _tenths(self).values()
        )


def run(plan: Plan, box: Box, place: Path) -> Report:
    """Do it. `box` is not started yet; `place` is an empty directory."""
    journal = place / "journal"
    journal.touch()
    journal.chmod(0o666)
    serve_scripted(box, place, processes=plan.processes)
    keep_all(box, plan.processes)
    before = descriptors(box.front_pid()), descriptors(box.supervisor_pid())
    ledger = Ledger()
    started = time.monotonic()
    clients = [
        Client(
            box, ledger, journal, f"{plan.seed}-{number}", plan.requests // plan.clients, plan.seconds,
            started + 2 * plan.seconds + 30,
        )
        for number in range(plan.clients)
    ]  # fmt: skip
    over = threading.Event()
    trouble = [
        threading.Thread(target=_repeat, args=(over, work), daemon=True)
        for work in (
            _killer(plan, box, ledger),
            _reloader(plan, box, ledger, started),
            _watcher(box, ledger, started),
        )
    ]
    for thread in (*clients, *trouble):
        thread.start()
    for client in clients:
        client.join()
    seconds = time.monotonic() - started
    over.set()
    for thread in trouble:
        thread.join()
    broken = _drained(plan, box, before)
    report = Report(plan, ledger, seconds, broken, descriptors(box.front_pid()))
    ledger.memory.append((seconds, box.front_pid(), _pss(box.front_pid())))
    broken += ledger.verdict(journal, box.log(), slots=1)
    broken += _memory(report)
    missing = plan.requests // plan.clients * plan.clients - ledger.requests
    if missing:
        broken.append(f"{missing} requests were not made in time, or forgotten")
    return report


def _repeat(over: threading.Event, work: Callable[[], float]) -> None:
    """Do `work` again and again, each time after the seconds it asked for."""
    while not over.wait(work()):
        pass


def _killer(plan: Plan, box: Box, ledger: Ledger) -> Callable[[], float]:
    chance = random.Random(f"{plan.seed} kills")

    def kill() -> float:
        running = [
            (process["name"], int(process["pid"]))
            for process in box.pools()["app"]["processes"]
            if process["pid"] and process["state"] == "running"
        ]
        if len(running) == plan.processes:
            name, pid = chance.choice(running)
            ledger.killed.append(name)
            os.kill(pid, signal.SIGKILL)
        return chance.random() * 2 * plan.kill_every

    return kill


def _reloader(plan: Plan, box: Box, ledger: Ledger, started: float) -> Callable[[], float]:
    chance = random.Random(f"{plan.seed} reloads")

    def reload() -> float:
        done = (time.monotonic() - started) / plan.seconds
        if RELOADS < done < LAST:
            return CUSTOMARY
        box.reload()
        ledger.reloads += 1
        return chance.random() * 2 * plan.reload_every

    return reload


def _watcher(box: Box, ledger: Ledger, started: float) -> Callable[[], float]:
    def look() -> float:
        front = box.status()["front"]
        if front is not None:
            pid = int(front["pid"])
            ledger.memory.append((time.monotonic() - started, pid, _pss(pid)))
        return 2 * CUSTOMARY

    return look


def _pss(pid: int) -> int:
    # Without the pages of programs and libraries: of those every Python on the machine has its part, and
    # ours grows when another one ends.
    return processes.memory(pid).get("Pss_Anon", 0)


def _drained(plan: Plan, box: Box, before: tuple[list[str], list[str]]) -> list[str]:
    """When everybody has gone: what is open is what was open before."""
    until(lambda: len(_running(box)) == plan.processes, 40, "a process is missing", box.log)
    supervisor = box.supervisor_pid()
    until(lambda: _only_one_front(box, supervisor), 40, "an old front stays", box.log)
    keep_all(box, plan.processes)
    broken = []
    for who, pid, then in (("front", box.front_pid(), before[0]), ("supervisor", supervisor, before[1])):
        now = descriptors(pid)
        if now != then:
            broken.append(f"descriptors of the {who}: {len(then)} before, {len(now)} after: {then} {now}")
    return broken


def _only_one_front(box: Box, supervisor: int) -> bool:
    """Besides the applications, which live, only a front and the guardian are left."""
    children, applications = processes.children(supervisor), set(box.application_pids())
    return applications <= children and len(children - applications) == 2


def _running(box: Box) -> list[str]:
    return [p["name"] for p in box.pools()["app"]["processes"] if p["state"] == "running"]


def _tenths(report: Report) -> dict[int, list[int]]:
    """The samples of the front's PSS in each tenth of the time, the last one after the drain included."""
    found: dict[int, list[int]] = {}
    for when, _, pss in report.ledger.memory:
        if pss:
            found.setdefault(min(9, int(10 * when / report.plan.seconds)), []).append(pss)
    return found


def _settled(report: Report) -> list[float]:
    """Its mean in each tenth with one and the same front: single samples move with what is in flight."""
    return [
        sum(found) / len(found)
        for tenth, found in _tenths(report).items()
        if SETTLED * 10 <= tenth < LAST * 10
    ]


def _memory(report: Report) -> list[str]:
    settled = _settled(report)
    if not settled:
        return ["no sample of the front's memory"]
    broken = []
    if max(settled) - min(settled) > report.plan.memory:
        broken.append(f"the front's PSS went from {min(settled):.0f} to {max(settled):.0f} kB")
    last = report.ledger.memory[-1][2]
    if last > max(settled) + report.plan.memory:
        broken.append(f"the front's PSS is {last} kB in the end")
    return broken
