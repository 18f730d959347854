"""What has happened to the processes of a pool since this front began: the counters of lighttpd's statistics.

A process has a place: the lowest number that is free when it comes up. Its successor gets the same one, so
that whoever draws curves finds as many as there may be processes, however often they are replaced.
"""

from __future__ import annotations

from collections.abc import Iterator


class Counts:
    """The counters of one place, under lighttpd's names."""

    __slots__ = ("connected", "died", "disabled", "overloaded")

    def __init__(self) -> None:
        self.connected = 0  # requests it was given: a kept connection is counted for each
        self.died = 0  # processes that ended unasked; for a host that we do not start: refused connections
        self.disabled = 0  # times it got no request for disable-time
        self.overloaded = 0  # connections that were not accepted in time


class Tally:
    """The places of a pool."""

    def __init__(self) -> None:
        self._counts: list[Counts] = []
        self._places: dict[str, int] = {}

    def enter(self, process: str) -> Counts:
        """A process has come up; its counters, which may have been another's before."""
        taken = set(self._places.values())
        place = next(number for number in range(len(taken) + 1) if number not in taken)
        self._places[process] = place
        if place == len(self._counts):
            self._counts.append(Counts())
        return self._counts[place]

    def leave(self, process: str) -> None:
        """A process is no more."""
        self._places.pop(process, None)

    @property
    def requests(self) -> int:
        """Requests that any process was given."""
        return sum(counts.connected for counts in self._counts)

    def places(self) -> Iterator[tuple[Counts, str | None]]:
        """Counters and present process (None: there is none) of each place, from 0 on."""
        names = {place: name for name, place in self._places.items()}
        for place, counts in enumerate(self._counts):
            yield counts, names.get(place)
