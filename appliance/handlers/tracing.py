"""fastcgi.debug and scgi.debug: who got a request, and who was busy with what, in the error log.

    proc: 127.0.0.1 1031  1 1 0 31454 php-3      each process of the pool, the least loaded first
    got proc: 1 31454 php-3                      load with this request, process number
    release proc: 0 31454 php-3                  load without it

The columns of a `proc:` line are those of lighttpd's reference: host, port, path of a unix socket, whether it
is ours (1), state (1: running, 2: passed over for a while, 5: on its way out), load, process number (0 if it
is not ours), and its name. From level 2 on, `gateway.trace` shows records too. These calls take the place of
the ordinary ones where a scope asks for it, so that nobody else pays.
"""

from __future__ import annotations

from collections.abc import Iterator

from appliance.gateway.failure import Failure
from appliance.handlers.call import Call
from appliance.pool.pool import Pool
from appliance.pool.slots import Process, Slot

RUNNING, PASSED_OVER, LEAVING = 1, 2, 5


class TracedCall(Call):
    """One request to an application, told in detail."""

    __slots__ = ()

    @property
    def detail(self) -> int:
        """The level that the scope asks for."""
        return self._exchange.settings.integer(f"{self._host.definition.protocol}.debug")

    def trace(self, text: str) -> None:
        """Say one thing about the request."""
        self._scope.services.log.traced(f"{self._process}: {self.asked()}: {text}")

    def granted(self, slot: Slot) -> None:
        """Our turn."""
        process = slot.process
        self._process = process.name
        self._table(process)
        self.trace(f"got proc: {process.load} {process.pid} {process.name}")
        super().granted(slot)

    def _give_back(self, reusable: bool) -> None:
        self._release()
        super()._give_back(reusable)

    def broken(self, failure: Failure) -> None:
        """The connection failed."""
        self.trace(f"{failure.stage.value}: {failure.reason}")
        self._release()
        super().broken(failure)

    def _broken_answer(self, reason: str) -> None:
        self._release()
        super()._broken_answer(reason)

    def _client_gone(self) -> None:
        self.trace("the client has gone")
        self._release()
        super()._client_gone()

    def _release(self) -> None:
        if self._slot is not None:
            process = self._slot.process
            self.trace(f"release proc: {process.load - 1} {process.pid} {process.name}")
            self._table(process)

    def _table(self, process: Process) -> None:
        """All processes as they are without this request, that `process` has."""
        pool = self._host.desk.pool
        now = self._scope.services.clock.now()
        log = self._scope.services.log
        for line in lines(pool, now, process):
            log.traced(line)


def lines(pool: Pool, now: float, asked: Process) -> Iterator[str]:
    """The processes of a pool, the least loaded first; one request of `asked` does not count."""
    ours = int(pool.definition.spawned)
    loads = [(process.load - (process is asked), process) for process in pool.processes.values()]
    for load, process in sorted(loads, key=lambda pair: pair[0]):
        state = RUNNING
        if process.retiring:
            state = LEAVING
        elif process.disabled_until > now:
            state = PASSED_OVER
        yield f"proc: {_place(process.address)} {ours} {state} {load} {process.pid} {process.name}"


def _place(address: str) -> str:
    if address.startswith("unix:"):
        return f" 0 {address[5:]}"
    host, _, port = address.rpartition(":")
    return f"{host} {port} "
