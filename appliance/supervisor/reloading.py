"""Serving another configuration, or the same one anew: all is prepared, then a new front, then the change.

An error changes nothing. A reload that is asked for while another one is under way follows it, once for all
who asked: the configuration they mean may have been written after the first was read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from appliance.config import Configuration, ConfigurationError
from appliance.errors import UserError
from appliance.supervisor import rundir
from appliance.supervisor.plan import Plan
from appliance.supervisor.source import Source

if TYPE_CHECKING:
    from appliance.supervisor.supervisor import Supervisor

Outcome = Callable[[str | None], None]
"""Told how something that takes its time went: None, or the error."""


def load(source: Source) -> Configuration:
    """The source's configuration; every error is a UserError."""
    try:
        return source.load()
    except ConfigurationError as error:
        raise UserError(str(error)) from error


class Reloading:
    """The reloads of one instance, one after the other."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._waiting: list[Outcome] = []
        self.preparing: Plan | None = None
        """What a front is being started for."""

    def reload(self, outcome: Outcome) -> None:
        """Load the configuration again and serve it; `outcome` is told when it is served, or why it is
        not."""
        if self._supervisor.stopping:
            outcome("it is being stopped")
            return
        if self.preparing is not None:
            self._waiting.append(outcome)
            return
        try:
            configuration = load(self._supervisor.source)
        except UserError as error:
            outcome(str(error))
            return
        self.change(configuration, outcome)

    def change(self, configuration: Configuration, outcome: Outcome) -> None:
        """Serve this configuration; no other change may be under way."""
        running = self._supervisor
        assert running.plan is not None
        running.notify.reloading()
        try:
            plan = running.planner.prepare(configuration, running.plan)
        except UserError as error:
            running.notify.ready("serving; the last reload failed")
            outcome(str(error))
            return
        self.preparing = plan
        for snapshot in running.files.follow(
            tuple(
                dict.fromkeys((*configuration.password_files(), *running.plan.configuration.password_files()))
            ),
            plan.front.root,
        ):
            running.fronts.push(snapshot)
        rundir.hand_over(running.directory, plan.front.gid)
        running.start_pools(plan)
        running.fronts.start(
            plan, partial(self._changed, plan, outcome), partial(self._not_changed, plan, outcome)
        )

    def _changed(self, plan: Plan, outcome: Outcome) -> None:
        self.preparing = None
        self._supervisor.serve(plan)
        outcome(None)
        self._after()

    def _not_changed(self, plan: Plan, outcome: Outcome, reason: str) -> None:
        self.preparing = None
        running = self._supervisor
        assert running.plan is not None
        running.planner.discard(plan, running.plan)
        running.files.follow(running.plan.configuration.password_files(), running.plan.front.root)
        rundir.hand_over(running.directory, running.plan.front.gid)
        outcome(reason)
        if not running.stopping:
            running.notify.ready("serving; the last reload failed")
            running.fronts.ensure(running.plan)
        self._after()

    def _after(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            # They asked before the configuration they meant was loaded: once more, for all of them.
            def everybody(error: str | None) -> None:
                for outcome in waiting:
                    outcome(error)

            self._supervisor.loop.call_later(0, partial(self.reload, everybody))
        self._supervisor.tidy()
