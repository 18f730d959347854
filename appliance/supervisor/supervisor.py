"""The supervisor: wiring and life of one instance, from the first configuration to the last process.

It touches no request. Signals lead to three things, `reload`, `stop` and `reopen`; what else may be asked
for is in `orders`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from appliance import __version__
from appliance.config import Configuration
from appliance.errors import UserError
from appliance.report.error_log import ErrorLog
from appliance.supervisor import environment, leftovers, rundir
from appliance.supervisor.addresses import Addresses
from appliance.supervisor.applications import Applications
from appliance.supervisor.children import Children
from appliance.supervisor.control import Control
from appliance.supervisor.exclusive import Exclusives
from appliance.supervisor.files import Watch
from appliance.supervisor.front import FrontEntry, serve
from appliance.supervisor.fronts import Fronts
from appliance.supervisor.guardian import Guardian
from appliance.supervisor.listeners import passed_sockets
from appliance.supervisor.loop import Loop, Timer
from appliance.supervisor.notify import Notify
from appliance.supervisor.opening import write_file
from appliance.supervisor.orders import Orders
from appliance.supervisor.plan import Plan, Planner, raise_descriptor_limit
from appliance.supervisor.reloading import Reloading
from appliance.supervisor.room import Room
from appliance.supervisor.source import Running, Source
from appliance.supervisor.surroundings import Surroundings

GRACEFUL_LIMIT = 30.0

_WHO = "supervisor"
_SAME_STOP = 1.0  # seconds in which equal signals are one (the frozen program gets a terminal's twice)
_LAST_PATIENCE = 12.0  # seconds from the end of the last front to the end of everything, by force


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How to run, as opposed to what."""

    graceful_limit: float = GRACEFUL_LIMIT
    """Seconds that running requests get at a stop and at a reload."""
    run_directory: Path | None = None
    """Instead of the usual place for this instance."""
    entry: FrontEntry = field(default=serve)
    """What the front process runs."""


class Supervisor:
    """One instance at work."""

    def __init__(self, source: Source, options: RunOptions, directory: Path) -> None:
        """The run directory is ours and locked. Forks the guardian."""
        self.source = source
        self.options = options
        self.directory = directory
        self.started = time.time()
        self.plan: Plan | None = None
        self.stopping = False
        self._status = 0
        self._urgent = False
        self._last_stop = (0, float("-inf"))
        self._pools: list[Applications] = []
        self._limit: Timer | None = None
        self._pid_file: str | None = None
        self._had_terminal = os.isatty(0) or os.isatty(2)
        soft_and_hard = raise_descriptor_limit()
        found = leftovers.end_leftovers(directory)
        rundir.sweep(directory)
        self.log = ErrorLog(2)
        self.loop = Loop(partial(self.log.write, "error", _WHO))
        self._passed = passed_sockets(os.environ)
        self.notify = Notify(os.environ)
        self._guardian = Guardian(directory)
        self._record = leftovers.Record(directory, partial(self.log.write, "error", _WHO))
        self.children = Children(self.loop, self._guardian, self._record)
        self.files = Watch()
        self.fronts = Fronts(
            self.loop,
            self.children,
            self.log,
            self.files,
            options.entry,
            options.graceful_limit,
            self._front_ended,
        )
        self.fronts.started = self.started
        addresses = Addresses(directory, self._guardian)
        around = Surroundings(
            self.loop, self.children, addresses, self.log, self.fronts.conversation,
            environment.inherited_by_us(), soft_and_hard, options.graceful_limit,
        )  # fmt: skip
        self._exclusives = Exclusives()
        self.planner = Planner(around, self._exclusives, self._passed, soft_and_hard[1])
        self.reloading = Reloading(self)
        self._orders = Orders(self)
        self._control: Control | None = None
        if found:
            groups = ", ".join(map(str, found))
            self.log.write("warning", _WHO, f"an earlier run had left processes ({groups}); they are ended")

    def run(self, configuration: Configuration) -> int:
        """Start with this configuration and serve; the exit status."""
        try:
            plan = self.planner.prepare(configuration, None)
            self._control = Control(self.loop, self.directory / rundir.CONTROL, self._orders.asked)
        except UserError:
            self._guardian.dismiss()
            raise
        self._use_log(plan)
        self.plan = plan
        for notice in plan.notices:
            self.log.once("notice", _WHO, notice)
        self.loop.signals(
            (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD), self._signalled
        )
        self.files.follow(configuration.password_files(), plan.front.root)
        self.start_pools(plan)
        self._write_pid_file(plan)
        self.fronts.start(plan, self._first_ready, self._first_failed)
        self._schedule()
        self.loop.run()
        return self._finish()

    def _schedule(self) -> None:
        self._orders.watch()
        if self.notify.heartbeat is not None:
            self.loop.every(self.notify.heartbeat, self.notify.alive)
        Room(self.loop, lambda: self.pools, partial(self.log.write, "warning", _WHO)).watch()

    # Starting

    def _first_ready(self) -> None:
        assert self.plan is not None and self.fronts.current is not None
        running = Running(
            listeners=self.plan.listener_names,
            front_user=self.plan.front.name,
            supervisor_pid=os.getpid(),
            front_pid=self.fronts.current.pid,
            run_directory=self.directory,
            control_socket=self.directory / rundir.CONTROL,
            connection_limit=self.plan.connection_limit,
            graceful_limit=self.options.graceful_limit,
            error_log=self.plan.logs.error_path,
        )
        text = self.source.banner(running)
        if text:
            # Nobody has to read it: a closed stdout must not end the site.
            with contextlib.suppress(OSError, ValueError):
                print(text, flush=True)
        self.log.write("notice", _WHO, f"fcgibox {__version__} serves {', '.join(running.listeners)}")
        self.notify.ready(f"serving {', '.join(running.listeners)}")

    def _first_failed(self, reason: str) -> None:
        if not self.stopping:
            self.log.write("error", _WHO, f"{reason}; nothing can be served, so this ends")
            self._status = 1
            self.stop(urgent=True)

    def start_pools(self, plan: Plan) -> None:
        """Bring up those that do not run yet."""
        for applications in plan.pools.values():
            if applications not in self._pools:
                self._pools.append(applications)
                applications.start()

    def _use_log(self, plan: Plan) -> None:
        level = plan.configuration.settings.string("fcgibox.error-log-level")
        self.log.use(plan.logs.descriptors["error"], level)

    def _write_pid_file(self, plan: Plan) -> None:
        path = plan.configuration.settings.optional_string("server.pid-file")
        if path == self._pid_file:
            return
        self._remove_pid_file()
        if path is not None:
            try:
                write_file(path, f"{os.getpid()}\n")
            except OSError as error:
                self.log.write("error", _WHO, f"cannot write server.pid-file {path}: {error.strerror}")
                return
            self._pid_file = path

    def _remove_pid_file(self) -> None:
        if self._pid_file is not None:
            Path(self._pid_file).unlink(missing_ok=True)
            self._pid_file = None

    # Signals

    def _signalled(self, number: int) -> None:
        if number == signal.SIGCHLD:
            self.children.reap()
            self.tidy()
        elif number in (signal.SIGTERM, signal.SIGINT):
            self._stop_signalled(number)
        elif number == signal.SIGUSR1:
            self.reopen()
        elif number == signal.SIGHUP:
            if self._terminal_is_gone():
                self.stop(urgent=False)
            else:
                self.reloading.reload(self.log_outcome)

    def _stop_signalled(self, number: int) -> None:
        last, when = self._last_stop
        now = self.loop.now()
        self._last_stop = (number, now)
        if self.stopping and number == last and now - when < _SAME_STOP:
            return
        self.stop(urgent=self.stopping)

    def _terminal_is_gone(self) -> bool:
        """HUP means two things: an order to reload, or that the terminal we were started in was closed."""
        if not self._had_terminal:
            return False
        try:
            os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
        except OSError:
            return True
        return False

    def reopen(self) -> None:
        """Open the log files again (after a rotation)."""
        if self.plan is None:
            return
        for error in self.plan.logs.reopen():
            self.log.write("error", _WHO, f"{error}; the old file stays open")
        self.fronts.hand_logs(self.plan.logs)
        self.log.write("info", _WHO, "the log files were opened again")

    def log_outcome(self, error: str | None) -> None:
        """How a reload that nobody waits for went."""
        if error is not None:
            self.log.write("error", _WHO, f"nothing was changed: {error}")

    def serve(self, plan: Plan) -> None:
        """Its front accepts connections: it takes the place of the plan that was served."""
        old, self.plan = self.plan, plan
        assert old is not None
        self._use_log(plan)
        self.planner.replace(old, plan)
        self.files.follow(plan.configuration.password_files(), plan.front.root)
        self._write_pid_file(plan)
        for notice in plan.notices:
            self.log.once("notice", _WHO, notice)
        self.log.write("notice", _WHO, f"reloaded: serves {', '.join(plan.listener_names)}")
        self.notify.ready(f"serving {', '.join(plan.listener_names)}")

    # Ending

    def stop(self, *, urgent: bool) -> None:
        """Complete what runs and end; urgent: end. May come again to become urgent."""
        self.stopping = True
        self._urgent = self._urgent or urgent
        self.log.write(
            "notice", _WHO, "stopping now" if urgent else "stopping: running requests are completed"
        )
        self.notify.stopping()
        if self.plan is not None:
            # New clients are refused from now on, and not by a full backlog.
            self._close_listeners(self.plan)
        self.fronts.stop(urgent=self._urgent)
        if self._urgent:
            self._stop_pools()
        self.tidy()

    def _close_listeners(self, plan: Plan) -> None:
        for name, sock in plan.sockets.items():
            self.planner.close_listener(name, sock)
        plan.sockets.clear()

    def _stop_pools(self) -> None:
        for applications in list(self._pools):
            applications.stop(urgent=self._urgent)
        patience = 2.0 if self._urgent else _LAST_PATIENCE
        if self._limit is not None:
            self._limit.cancel()
        self._limit = self.loop.call_later(patience, self._end_by_force)

    def _end_by_force(self) -> None:
        self.log.write("warning", _WHO, "some processes have not ended in time and are killed")
        self.children.end_all(((0.0, signal.SIGKILL), (0.2, signal.SIGKILL)))
        self._limit = self.loop.call_later(1.0, self.loop.stop)

    def _front_ended(self) -> None:
        self.loop.call_later(0, self.tidy)

    def tidy(self) -> None:
        """End pools that no front needs any more, forget those that are over, end when nothing is left."""
        plans = [front.plan for front in self.fronts.living]
        plans += [
            plan for plan in (self.plan, self.reloading.preparing) if plan is not None and not self.stopping
        ]
        for applications in list(self._pools):
            if applications.policy.over:
                self._pools.remove(applications)
            elif (
                not any(applications in plan.pools.values() for plan in plans)
                and applications.policy.state != "stopped"
            ):
                applications.stop(urgent=False)
        if not self.stopping and self.plan is not None and self.reloading.preparing is None:
            needed = {path for pool in self._pools for path in pool.definition.exclusive}
            self._exclusives.keep_only(needed | self.plan.exclusive)
        if self.stopping and not self.fronts.living:
            if self._limit is None:
                self._stop_pools()
            if self.children.empty:
                self.loop.stop()

    def _finish(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        if self._control is not None:
            self._control.close()
        self._remove_pid_file()
        self._record.remove()
        self._guardian.dismiss()
        self.log.write("notice", _WHO, "stopped")
        self.loop.close()
        return self._status

    @property
    def pools(self) -> tuple[Applications, ...]:
        """All that have processes, those of an earlier configuration too."""
        return tuple(self._pools)
