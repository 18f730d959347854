"""Which front may use how many slots of which process: more open connections than slots would block the
application.

Sans-I/O, one ledger for each pool. A generation is one front process; the newest gets whatever is free. At a
reload the old front gives its slots back one by one as its requests end, and each goes on to the new one. The
slots of a front that crashed come back at once, but nobody knows what still runs in them: they are `suspect`.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Grant:
    """Slots that the newest front gets of one process; None = as many connections as it likes."""

    process: str
    slots: int | None
    suspect: int


@dataclass(slots=True)
class _Account:
    total: int | None
    free: int
    suspect: int = 0  # of those that are free
    held: dict[int, int] = field(default_factory=dict)


class Leases:
    """The ledger. Every method that frees slots returns what the newest generation gets of them."""

    def __init__(self) -> None:
        self._accounts: dict[str, _Account] = {}
        self._generations: list[int] = []

    def open(self, generation: int) -> list[Grant]:
        """A new front: what it may use of each process now (0 slots: more will follow)."""
        self._generations.append(generation)
        return [self._grant(process) for process in self._accounts]

    def add(self, process: str, slots: int | None) -> Grant | None:
        """A process is up, all its slots are free. None: there is no front."""
        self._accounts[process] = _Account(slots, slots or 0)
        return self._grant(process) if self._generations else None

    def remove(self, process: str) -> None:
        """The process is dead."""
        self._accounts.pop(process, None)

    def release(self, generation: int, process: str, slots: int) -> Grant | None:
        """A draining front gives slots back; at most what it holds."""
        account = self._accounts.get(process)
        if account is None or account.total is None:
            return None
        given = max(0, min(slots, account.held.get(generation, 0)))
        account.held[generation] = account.held.get(generation, 0) - given
        account.free += given
        # Its own slots must not come back to a front that drains; they wait for the next one.
        if not given or not self._generations or self._generations[-1] == generation:
            return None
        return self._grant(process)

    def close(self, generation: int, *, clean: bool) -> list[Grant]:
        """A front is gone. Not `clean`: the slots it held are of unknown state."""
        self._generations.remove(generation)
        grants = []
        for process, account in self._accounts.items():
            given = account.held.pop(generation, 0)
            account.free += given
            if not clean:
                account.suspect += given
            if given and self._generations:
                grants.append(self._grant(process))
        return grants

    def holders(self, process: str) -> dict[int, int]:
        """Slots held by each generation."""
        account = self._accounts.get(process)
        return {} if account is None else {g: n for g, n in account.held.items() if n}

    def _grant(self, process: str) -> Grant:
        account = self._accounts[process]
        if account.total is None:
            return Grant(process, None, 0)
        slots, account.free = account.free, 0
        suspect, account.suspect = account.suspect, 0
        newest = self._generations[-1]
        account.held[newest] = account.held.get(newest, 0) + slots
        return Grant(process, slots, suspect)
