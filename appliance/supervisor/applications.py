"""The processes of one pool: the policy of `pool` carried out with sockets, forks and signals.

Each process gets a listening socket on descriptor 0 and a pipe for what it says. A process of a template is
asked of the template; every other is executed. What happens to a process is told to `audience`, which knows
the fronts.
"""

from __future__ import annotations

import itertools
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from appliance.config import PoolDefinition
from appliance.errors import UserError
from appliance.supervisor import pool
from appliance.supervisor.actions import Announce, End, Gone, Prove, Restarted, Retire, Start, State, Tell
from appliance.supervisor.children import Steps
from appliance.supervisor.identity import Identity
from appliance.supervisor.leases import Leases
from appliance.supervisor.loop import READ, Timer
from appliance.supervisor.memory import Scales
from appliance.supervisor.output import Output
from appliance.supervisor.processes import Launch, describe_failure, launch, parent, start_time
from appliance.supervisor.program import Program
from appliance.supervisor.proof import Proof
from appliance.supervisor.restarts import Restarts
from appliance.supervisor.surroundings import Surroundings
from appliance.supervisor.template import Template


@dataclass(slots=True)
class Application:
    """One process."""

    name: str
    address: str
    """As the front reaches it."""
    place: str
    """As `Addresses` knows it."""
    output: Output
    started: float
    pid: int | None = None
    requests: int = 0  # as far as the fronts have told; only where they are counted
    foreign: bool = False
    """Not ours: it served the address before we came."""


class Applications:
    """One pool at work."""

    def __init__(
        self, definition: PoolDefinition, identity: Identity, front: Identity, around: Surroundings
    ) -> None:
        """Raises UserError if its program cannot be executed. `start` begins."""
        self.definition = definition
        self.identity = identity
        self.front = front
        self.leases = Leases()
        self.processes: dict[str, Application] = {}
        self._around = around
        self._program = Program(definition, identity, around.inherited, around.open_files)
        serials = around.serials.setdefault(definition.name, itertools.count())
        self.policy = pool.Pool(
            definition.name, definition.min_procs, definition.max_procs, serials, definition.max_age
        )
        self._timer: Timer | None = None
        self._proofs: dict[str, Proof] = {}
        self._scales: Scales | None = None
        self.restarts = Restarts(self, around.loop, around.log)
        self.template = self.new_template() if definition.template else None

    def new_template(self, ready: Callable[[str, tuple[str, ...]], None] | None = None) -> Template:
        """A template that is not started yet. `ready` is told once: "", or why it cannot be, and its last
        words."""
        return Template(
            self._around.loop,
            self._around.children,
            partial(self._log, f"{self.definition.name}-template"),
            self._launch_template,
            self._forked,
            self._not_started,
            ready,
        )

    # Events

    def start(self) -> None:
        """Bring the pool up."""
        if self.definition.max_memory:
            self._scales = Scales(self._around.loop, self.definition.max_memory, self._pids, self._too_large)
        self.policy.start(self._around.loop.now())
        self._act()

    def want(self, count: int) -> None:
        """The front has requests waiting."""
        self.policy.want(count, self._around.loop.now())
        self._act()

    def idle(self, process: str) -> None:
        """The front has not used it for long."""
        self.policy.idle(process)
        self._act()

    def unreachable(self, process: str, reason: str) -> None:
        """The front cannot connect to it any more, though it lives."""
        application = self.processes.get(process)
        if application is not None and application.foreign:
            self._forget(process, f"the server on {application.address} is gone ({reason})")
        elif application is not None and self.policy.states().get(process) is State.RUNNING:
            self._log(
                process, "error", f"nobody can connect to {application.address} any more ({reason}): "
                "it is replaced by a new process"
            )  # fmt: skip
            self.policy.unreachable(process, self._around.loop.now())
            self._act()

    def retired(self, process: str) -> None:
        """Its last request is over."""
        self.policy.retired(process)
        self._act()

    def used(self, process: str, requests: int) -> None:
        """A front has given it so many more requests."""
        if process in self.processes:
            self.processes[process].requests += requests

    def recycle(self, process: str, reason: str, *, at_once: bool = True) -> None:
        """It is to be replaced; see the policy."""
        if process in self.processes:
            self._log(process, "info", f"it is replaced: {reason}")
            self.policy.recycle(process, self._around.loop.now(), at_once=at_once)
            self._act()

    def spent(self, process: str) -> None:
        """It has had all its requests (max-requests)."""
        self.policy.spent(process, self._around.loop.now())
        self._act()

    def restart(self) -> None:
        """Replace all processes, one after the other; `restarts` is told how it went."""
        self.policy.restart(self._around.loop.now())
        self._act()

    def stuck(self, process: str, reason: str) -> None:
        """It does not finish a request."""
        if process in self.processes:
            self._log(process, "warning", f"it is ended: {reason}")
            self.policy.stuck(process, self._around.loop.now())
            self._act()

    def _pids(self) -> dict[str, int]:
        states = self.policy.states()
        return {
            name: application.pid
            for name, application in self.processes.items()
            if application.pid is not None and states.get(name) is State.RUNNING
        }

    def _too_large(self, process: str, size: int) -> None:
        limit = self.definition.max_memory
        self.recycle(process, f"it has {size} MiB of memory, max-memory is {limit}")

    def stop(self, *, urgent: bool) -> None:
        """End the pool for good."""
        # The policy first: what the template gives up now is not to be started again.
        self.policy.stop(urgent=urgent)
        if self._scales is not None:
            self._scales.stop()
        self.restarts.stop()
        if self.template is not None:
            self.template.stop()
        self._act()

    # Actions

    def _act(self) -> None:
        around = self._around
        while actions := self.policy.take():
            for action in actions:
                match action:
                    case Start(process):
                        self._start(process)
                    case Prove(process):
                        self._prove(process)
                    case Announce(process):
                        around.audience.announce(self, process)
                    case Retire(process):
                        around.audience.retire(self, process)
                    case End(process, urgent):
                        self._end(process, urgent=urgent)
                    case Gone(process, reason, stderr):
                        self.leases.remove(process)
                        around.audience.gone(self, process, reason, stderr)
                    case Tell(state, reason):
                        if state == "failing":
                            wait = max(0.0, (self.policy.next_try or 0.0) - around.loop.now())
                            again = f"; the next try is in {wait:.1f} s; `fcgibox restart` tries at once"
                            self._log(self.definition.name, "error", reason + again)
                        around.audience.tell(self, state, reason)
                    case Restarted(error, stderr):
                        self.restarts.over(error, stderr)
        if self._timer is not None:
            self._timer.cancel()
        deadline = self.policy.deadline()
        self._timer = (
            None if deadline is None else around.loop.call_later(deadline - around.loop.now(), self._tick)
        )

    def _tick(self) -> None:
        self._timer = None
        self.policy.tick(self._around.loop.now())
        self._act()

    def _start(self, process: str) -> None:
        around = self._around
        try:
            bound = around.addresses.bind(self.definition, self.front)
        except UserError as error:
            self._not_started(process, str(error), ())
            return
        output = Output(partial(self._log, process, "notice"), around.loop.now)
        self.processes[process] = Application(process, bound.address, bound.place, output, around.loop.now())
        if bound.listener is None:
            self._use(process)
            return
        around.loop.watch(output.reader, READ, partial(self._read, output))
        if self.template is not None:
            self.template.fork(process, bound.listener, output)
        else:
            self._execute(process, bound.listener, output)

    def _use(self, process: str) -> None:
        """Somebody else serves its address: as lighttpd, ask him and start nothing."""
        application = self.processes[process]
        application.output.sent()
        application.foreign = True
        self._log(
            process,
            "notice",
            f"{application.address} is served already, by a process that we did not start: it is used as it "
            "is; when it is gone, one of ours takes its place",
        )
        self.policy.up(process, self._around.loop.now())
        self._act()

    def slots(self, process: str) -> int | None:
        """Requests that it takes at once; None: nobody knows, as of one that is not ours."""
        return None if self.processes[process].foreign else self.definition.slots

    def _execute(self, process: str, listener: socket.socket, output: Output) -> None:
        try:
            pid = launch(self._program.launch(listener.fileno(), output.writer))
        except OSError as error:
            self._not_started(process, describe_failure(error), ())
            return
        finally:
            # Only the process may hold its listener: when it dies, waiting clients must see it.
            listener.close()
            output.sent()
        self._up(process, pid)

    def _launch_template(self) -> Launch:
        # Template puts its own descriptors in place of these.
        return self._program.launch(0, 2)

    def _forked(self, process: str, pid: int) -> None:
        """The template's child says that it is up. Its pid comes from the kernel, that it is ours from
        /proc."""
        application = self.processes.get(process)
        if application is None or application.pid not in (None, pid):
            # We gave it up meanwhile, or it uses a name that is taken.
            if parent(pid) != os.getpid():
                return
            self._log(process, "warning", f"process {pid} came up after it had been given up, and is ended")
            self._around.children.add(pid, lambda status: None)
            self._around.children.end(pid, ((0.0, signal.SIGKILL),))
        elif application.pid is None:
            self._up(process, pid)

    def _up(self, process: str, pid: int) -> None:
        around = self._around
        self.processes[process].pid = pid
        around.children.add(pid, partial(self._ended, process))
        states = self.policy.states()
        if states.get(process) is State.ENDING:
            self._end(process, urgent=False)
            return
        if start_time(pid) is not None:
            self.policy.up(process, around.loop.now())
        self._act()

    def _not_started(self, process: str, reason: str, stderr: tuple[str, ...]) -> None:
        application = self.processes.pop(process, None)
        if application is not None:
            self._put_away(application)
        if self.policy.states().get(process) is not State.ENDING:
            self._log(process, "error", f"it could not be started: {reason}")
        self.policy.ended(process, reason, stderr, self._around.loop.now())
        self._act()

    def _ended(self, process: str, status: int) -> None:
        application = self.processes.pop(process)
        application.output.read()
        self._put_away(application)
        reason = self._program.describe_exit(status)
        expected = self.policy.states().get(process) is State.ENDING
        age = self._around.loop.now() - application.started
        self._log(
            process,
            "info" if expected else "error",
            f"process {application.pid} ended after {age:.1f} s: {reason}",
        )
        stderr = tuple(application.output.last)
        self.policy.ended(process, reason, stderr, self._around.loop.now())
        self._act()

    def _put_away(self, application: Application) -> None:
        proof = self._proofs.pop(application.name, None)
        if proof is not None:
            proof.cancel()
        self._around.loop.forget(application.output.reader)
        application.output.close()
        self._around.addresses.free(application.place)

    def _forget(self, process: str, reason: str) -> None:
        """No more of a server that is not ours."""
        self._put_away(self.processes.pop(process))
        if self.policy.states().get(process) is not State.ENDING:
            self._log(process, "warning", reason)
        self.policy.ended(process, reason, (), self._around.loop.now())
        self._act()

    def _end(self, process: str, *, urgent: bool) -> None:
        application = self.processes.get(process)
        if application is not None and application.foreign:
            self._forget(process, "")
            return
        if application is None or application.pid is None:
            # It is on its way out of the template: `_up` will end it, `_not_started` forget it.
            return
        self._around.children.end(application.pid, self._steps(urgent=urgent))

    def _steps(self, *, urgent: bool) -> Steps:
        if self.template is not None:
            limit = 0.0 if urgent else self._around.graceful_limit
            return ((0.0, signal.SIGTERM if limit else signal.SIGKILL), (limit, signal.SIGKILL))
        if urgent:
            return ((0.0, signal.SIGTERM), (1.0, signal.SIGKILL))
        return ((0.0, self.definition.kill_signal), (5.0, signal.SIGTERM), (10.0, signal.SIGKILL))

    def _prove(self, process: str) -> None:
        if self.template is not None:
            # It was warm before it was forked, and said itself that it is up.
            self.policy.proven(process, self._around.loop.now())
            return
        self._proofs[process] = Proof(
            self._around.loop,
            self.processes[process].address,
            partial(self._proven, process),
            partial(self._unproven, process),
        )

    def _proven(self, process: str) -> None:
        del self._proofs[process]
        self.policy.proven(process, self._around.loop.now())
        self._act()

    def _unproven(self, process: str, reason: str) -> None:
        del self._proofs[process]
        self.policy.unproven(process, reason)
        self._act()

    def _read(self, output: Output) -> None:
        if not output.closed and not output.read():
            self._around.loop.forget(output.reader)

    def _log(self, who: str, level: str, text: str) -> None:
        self._around.log.write(level, who, text)
