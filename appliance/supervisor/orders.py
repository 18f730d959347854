"""What the control socket asks for, and what a changed file asks for: status, reload, restart, stop."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from appliance.config.diagnostic import nearest
from appliance.errors import UserError
from appliance.supervisor.control import Answer
from appliance.supervisor.reloading import load
from appliance.supervisor.source import Changes
from appliance.supervisor.status import describe

if TYPE_CHECKING:
    from appliance.supervisor.supervisor import Supervisor

_WHO = "supervisor"
_FILES_INTERVAL = 1.0
_WATCH_INTERVAL = 2.0


class Orders:
    """Whoever may give some, beside signals."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._watched = Changes(supervisor.source)

    def watch(self) -> None:
        """Look at the files from now on."""
        self._supervisor.loop.every(_FILES_INTERVAL, self._look_at_files)
        self._supervisor.loop.every(_WATCH_INTERVAL, self._look_at_watched)

    def asked(self, request: dict[str, Any], answer: Answer) -> None:
        """A request of the control socket."""
        supervisor = self._supervisor
        match request:
            case {"command": "status"}:
                supervisor.fronts.ask_status(
                    lambda data: answer({"ok": True, "status": describe(supervisor, data)})
                )
            case {"command": "reload"}:

                def outcome(error: str | None) -> None:
                    supervisor.log_outcome(error)
                    answer({"ok": error is None, "error": error})

                supervisor.reloading.reload(outcome)
            case {"command": "restart", "pool": str(name)}:
                self._restart(name, answer)
            case {"command": "stop"}:
                answer({"ok": True, "pid": os.getpid()})
                supervisor.stop(urgent=bool(request.get("now")))
            case _:
                answer({"ok": False, "error": "unknown command; there are status, reload, restart and stop"})

    def _restart(self, name: str, answer: Answer) -> None:
        pools = {} if self._supervisor.plan is None else self._supervisor.plan.pools
        if name in pools:
            pools[name].restarts.ask(lambda error: answer({"ok": error is None, "error": error}))
            return
        hint = nearest(name, pools)
        listed = ", ".join(pools) or "none, for nothing is started here"
        answer({"ok": False, "error": f"there is no pool {name!r}{f' ({hint})' if hint else ''}; "
                f"the pools are: {listed}"})  # fmt: skip

    def _look_at_files(self) -> None:
        supervisor = self._supervisor
        for snapshot in supervisor.files.poll():
            why = f": {snapshot.error}" if snapshot.error else ""
            supervisor.log.write(
                "warning" if why else "info", _WHO, f"the password file {snapshot.path} has changed{why}"
            )
            supervisor.fronts.push(snapshot)
        if supervisor.plan is not None and not supervisor.stopping:
            for applications in supervisor.plan.pools.values():
                applications.restarts.look()

    def _look_at_watched(self) -> None:
        supervisor = self._supervisor
        if supervisor.stopping or supervisor.reloading.preparing is not None or not self._watched.poll():
            return
        assert supervisor.plan is not None
        try:
            configuration = load(supervisor.source)
        except UserError as error:
            supervisor.log.write(
                "warning", _WHO, f"something has changed, but it cannot be served yet: {error}"
            )
            return
        if configuration != supervisor.plan.configuration:
            supervisor.reloading.change(configuration, supervisor.log_outcome)
