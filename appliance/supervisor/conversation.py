"""What pools and fronts have to tell each other: who is up, who retires, who holds how many slots.

A pool speaks to every front whose plan has it; at a reload these are two. The newest of them gets the slots
that are free. A process is over when every front has finished with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from appliance.report.error_log import ErrorLog
from appliance.supervisor.actions import State
from appliance.supervisor.applications import Applications
from appliance.supervisor.channel import Message
from appliance.supervisor.front import Front
from appliance.supervisor.leases import Grant
from appliance.supervisor.stuck import Stuck


class Conversation:
    """Between all pools and all fronts (`surroundings.Audience`)."""

    def __init__(
        self,
        log: ErrorLog,
        fronts: Sequence[Front],
        send: Callable[[Front, Message], None],
        stuck: Stuck,
    ) -> None:
        """`fronts` are those that live, oldest first; it changes. `send` may find a front gone."""
        self._log = log
        self._fronts = fronts
        self._send = send
        self._stuck = stuck

    # What pools have to say

    def introduce(self, front: Front) -> None:
        """A new front: all pools of its plan, and what it may use of their processes."""
        for name, applications in front.plan.pools.items():
            policy = applications.policy
            self._send(front, {"type": "pool", "pool": name, "state": policy.state, "reason": policy.reason})
            states = policy.states()
            for grant in applications.leases.open(front.generation):
                if states.get(grant.process) is State.RUNNING:
                    self._present(front, applications, grant)
                else:
                    front.retired.add((name, grant.process))

    def _present(self, front: Front, applications: Applications, grant: Grant) -> None:
        application = applications.processes[grant.process]
        message: Message = {
            "type": "process",
            "pool": applications.definition.name,
            "process": grant.process,
        }
        message |= {"address": application.address, "pid": application.pid, "served": application.requests}
        self._send(front, {**message, "slots": grant.slots, "suspect": grant.suspect})

    def announce(self, applications: Applications, process: str) -> None:
        """A process may be used: by the newest front that has its pool."""
        slots = applications.slots(process)
        grant = applications.leases.add(process, slots)
        having = self._having(applications)
        for front in having[:-1]:
            self._present(front, applications, Grant(process, None if slots is None else 0, 0))
        if having and grant is not None:
            self._present(having[-1], applications, grant)

    def retire(self, applications: Applications, process: str) -> None:
        """It gets no new request; when every front has finished with it, it is over."""
        for front in self._having(applications):
            self._send(front, {"type": "retire", "pool": applications.definition.name, "process": process})
        self._look_whether_over(applications, process)

    def gone(self, applications: Applications, process: str, reason: str, stderr: tuple[str, ...]) -> None:
        """It is dead."""
        message: Message = {"type": "gone", "pool": applications.definition.name, "process": process}
        for front in self._having(applications):
            self._send(front, {**message, "reason": reason, "stderr": list(stderr)})

    def tell(self, applications: Applications, state: str, reason: str) -> None:
        """The pool is in another state."""
        message: Message = {
            "type": "pool",
            "pool": applications.definition.name,
            "state": state,
            "reason": reason,
        }
        for front in self._having(applications):
            self._send(front, message)

    def _look_whether_over(self, applications: Applications, process: str) -> None:
        if all((applications.definition.name, process) in f.retired for f in self._having(applications)):
            applications.retired(process)

    def _having(self, applications: Applications) -> list[Front]:
        return [f for f in self._fronts if f.plan.pools.get(applications.definition.name) is applications]

    def _lease(self, applications: Applications, grant: Grant) -> None:
        if grant.slots:
            message = {"type": "lease", "pool": applications.definition.name, "process": grant.process}
            newest = self._having(applications)[-1]
            self._send(newest, {**message, "slots": grant.slots, "suspect": grant.suspect})

    # What fronts have to say

    def told(self, front: Front, message: Message) -> None:
        """A front says something about a pool."""
        applications = front.plan.pools.get(str(message.get("pool")))
        if applications is None:
            self._log.write(
                "warning", "supervisor", f"front-{front.generation} said something unknown: {message}"
            )
            return
        process = str(message.get("process", ""))
        match message.get("type"):
            case "want":
                applications.want(int(message.get("n", 1)))
            case "idle" if front is self._having(applications)[-1]:
                applications.idle(process)
            case "unreachable":
                applications.unreachable(process, str(message.get("reason", "")))
            case "retired":
                front.retired.add((applications.definition.name, process))
                self._look_whether_over(applications, process)
            case "served":
                count = int(message.get("n", 0))
                applications.used(process, count)
                newest = self._having(applications)[-1]
                if newest is not front:
                    self._send(newest, message)
            case "recycle":
                applications.recycle(process, str(message.get("reason", "")), at_once=False)
            case "spent":
                applications.spent(process)
            case "kill":
                self._stuck.end(applications, process, message)
            case "release":
                grant = applications.leases.release(front.generation, process, int(message.get("slots", 0)))
                if grant is not None:
                    self._lease(applications, grant)

    def left(self, front: Front) -> None:
        """A front that is not among the living any more: others get its slots, it has finished with
        everything."""
        for applications in front.plan.pools.values():
            for grant in applications.leases.close(front.generation, clean=front.drained):
                self._lease(applications, grant)
            for process in applications.policy.states():
                self._look_whether_over(applications, process)
