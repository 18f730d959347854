"""Who is in a pool, its state, and the actions that are still to be carried out.

What the policy (`pool`) decides on is written down here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from appliance.supervisor.actions import Action, Start, State, Tell


@dataclass(slots=True)
class Member:
    """One process."""

    state: State
    started: float
    announced: bool = False
    up: bool = False
    asked_to_end: bool = False
    proving: bool = False  # it has to prove itself before it is announced
    replaces: str | None = None
    followed: bool = False  # its successor counts in its place
    unproven: str = ""

    @property
    def lives(self) -> bool:
        """Whether it works or comes up."""
        return self.state in (State.STARTING, State.RUNNING)


class Roster:
    """The processes of one pool by their names."""

    def __init__(self, name: str, serials: Iterator[int]) -> None:
        """`serials` numbers the processes."""
        self.name = name
        self.state = "starting"
        self.reason = ""
        self._serials = serials
        self._processes: dict[str, Member] = {}
        self._actions: list[Action] = []

    def take(self) -> list[Action]:
        """The actions since the last call."""
        actions, self._actions = self._actions, []
        return actions

    def states(self) -> dict[str, State]:
        """All processes that live, oldest first."""
        return {name: process.state for name, process in self._processes.items()}

    @property
    def _live(self) -> int:
        return sum(known.lives and not known.followed for known in self._processes.values())

    def _oldest(self, none: float) -> float:
        """Since when the oldest works that has been announced; `none` without one."""
        return min((known.started for known in self._processes.values() if known.announced), default=none)

    def _begin(self, known: Member) -> str:
        name = f"{self.name}-{next(self._serials)}"
        self._processes[name] = known
        self._actions.append(Start(name))
        return name

    def _tell(self, state: str, reason: str) -> None:
        self.state, self.reason = state, reason
        self._actions.append(Tell(state, reason))
