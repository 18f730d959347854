"""The supervisor's side of a template: a process that has an application loaded and forks it on request.

The two speak in datagrams over a SOCK_SEQPACKET socketpair (its number in FCGIBOX_TEMPLATE):

    template → us    "ready"                       warm, one thread
    us → template    "fork NAME" + [listener, stderr]
    application → us "up NAME"                     the kernel's SCM_CREDENTIALS say its pid
    template → us    "failed NAME reason"

An application is reparented to us and outlives its template; a template that dies is built anew.
"""

from __future__ import annotations

import array
import contextlib
import os
import signal
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from appliance.supervisor.children import Children
from appliance.supervisor.loop import READ, Loop, Timer
from appliance.supervisor.output import Output
from appliance.supervisor.processes import Launch, describe_exit, describe_failure, launch

VARIABLE = "FCGIBOX_TEMPLATE"

WARM_UP_LIMIT = 120.0
"""Seconds that a template may load: a hundred Trac projects on a slow card."""
FORK_LIMIT = 20.0

_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0
_LONG_LIFE = 10.0
_DATAGRAM = 4096
_CREDENTIALS = struct.Struct("3i")


@dataclass(slots=True)
class _Order:
    name: str
    listener: socket.socket
    output: Output
    timer: Timer | None = None


class Template:
    """Builds, keeps and asks one template."""

    def __init__(
        self,
        loop: Loop,
        children: Children,
        log: Callable[[str, str], None],
        prepare: Callable[[], Launch],
        up: Callable[[str, int], None],
        failed: Callable[[str, str, tuple[str, ...]], None],
        first: Callable[[str, tuple[str, ...]], None] | None = None,
    ) -> None:
        """`prepare` gives the launch without descriptors; `up(name, pid)` and `failed(name, reason, stderr)`
        answer each `fork`. `log(level, text)`. `first(reason, stderr)` is told once whether it has become
        ready: "", or why not."""
        self._loop = loop
        self._children = children
        self._log = log
        self._prepare = prepare
        self._up = up
        self._failed = failed
        self._first = first
        self.pid: int | None = None
        self.ready = False
        self._socket: socket.socket | None = None
        self._output: Output | None = None
        self._waiting: list[_Order] = []
        self._sent: dict[str, _Order] = {}
        self._started = 0.0
        self._limit: Timer | None = None
        self._retry: Timer | None = None
        self._delay = 0.0
        self._stopped = False

    def fork(self, name: str, listener: socket.socket, output: Output) -> None:
        """Ask for an application named `name` on `listener` (closed when it is handed over)."""
        self._waiting.append(_Order(name, listener, output))
        if self.pid is None and self._retry is None:
            self.start()
        elif self.ready:
            self._send_waiting()

    def start(self) -> None:
        """Build it, unless it is there."""
        self._retry = None
        if self.pid is not None or self._stopped:
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        ours.setblocking(False)
        output = Output(lambda line: self._log("notice", line), self._loop.now)
        start = self._prepare()
        null = os.open(os.devnull, os.O_RDWR)
        try:
            self.pid = launch(
                replace(
                    start,
                    environment={**start.environment, VARIABLE: str(theirs.fileno())},
                    stdin=null,
                    output=output.writer,
                    inherit=(theirs.fileno(),),
                )
            )
        except OSError as error:
            ours.close()
            output.close()
            self._give_up(describe_failure(error), ())
            return
        finally:
            os.close(null)
            theirs.close()
        output.sent()
        self._socket, self._output = ours, output
        self._started = self._loop.now()
        self._limit = self._loop.call_later(WARM_UP_LIMIT, self._too_slow)
        self._loop.watch(ours.fileno(), READ, self._receive)
        self._loop.watch(output.reader, READ, self._read_output)
        self._children.add(self.pid, self._ended)

    def stop(self) -> None:
        """No further applications. Those that live are not ours any more to end."""
        self._stopped = True
        if self._retry is not None:
            self._retry.cancel()
        if self.pid is not None:
            # The end of its socket is its own word for it; KILL is for one that does not listen.
            self._hang_up()
            self._children.end(self.pid, ((0.0, signal.SIGTERM), (1.0, signal.SIGKILL)))
        self._fail_orders("the pool is being stopped", ())

    def _receive(self) -> None:
        while self._socket is not None:
            try:
                data, ancillary, _, _ = self._socket.recvmsg(_DATAGRAM, socket.CMSG_SPACE(_CREDENTIALS.size))
            except BlockingIOError:
                return
            except ConnectionResetError:
                data, ancillary = b"", []
            if not data:
                self._loop.forget(self._socket.fileno())
                return
            pid = next(
                (_CREDENTIALS.unpack(c)[0] for level, kind, c in ancillary if kind == socket.SCM_CREDENTIALS),
                0,
            )
            self._handle(data.decode("utf-8", "replace"), pid)

    def _handle(self, datagram: str, pid: int) -> None:
        word, _, rest = datagram.partition(" ")
        if word == "ready" and pid == self.pid:
            self.ready = True
            if self._limit is not None:
                self._limit.cancel()
            self._tell_first("", ())
            self._send_waiting()
        elif word == "up" and pid not in (0, self.pid):
            # One that we gave up meanwhile is told as well: somebody must end it.
            if rest in self._sent:
                self._settle(rest)
            self._up(rest, pid)
        elif word == "failed":
            name, _, reason = rest.partition(" ")
            if name in self._sent:
                self._settle(name)
                self._failed(name, f"the template could not fork: {reason}", self._last())
        else:
            self._log("warning", f"the template said something unexpected: {datagram[:100]!r}")

    def _settle(self, name: str) -> None:
        timer = self._sent.pop(name).timer
        if timer is not None:
            timer.cancel()

    def _send_waiting(self) -> None:
        while self._waiting and self._socket is not None:
            order = self._waiting[0]
            rights = array.array("i", [order.listener.fileno(), order.output.writer])
            try:
                self._socket.sendmsg(
                    [f"fork {order.name}".encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
                )
            except BlockingIOError:
                self._loop.call_later(0.1, self._send_waiting)
                return
            except OSError:
                # It is dying: its end gives the orders back.
                return
            self._waiting.pop(0)
            order.listener.close()
            order.output.sent()
            order.timer = self._loop.call_later(FORK_LIMIT, partial(self._lost, order.name))
            self._sent[order.name] = order

    def _lost(self, name: str) -> None:
        if self._sent.pop(name, None) is not None:
            self._failed(name, f"it did not come up within {FORK_LIMIT:g} s of its fork", self._last())

    def _too_slow(self) -> None:
        if self.pid is not None and not self.ready:
            self._log("error", f"it was not ready after {WARM_UP_LIMIT:g} s and is ended")
            self._children.end(self.pid, ((0.0, signal.SIGKILL),))

    def _ended(self, status: int) -> None:
        reason, was_ready = describe_exit(status), self.ready
        # An application may have said "up" before its template died.
        self._hang_up()
        if self._output is not None:
            self._loop.forget(self._output.reader)
            self._output.read()
            self._output.close()
        if self._limit is not None:
            self._limit.cancel()
        self.pid, self.ready = None, False
        if self._stopped:
            return
        long_life = was_ready and self._loop.now() - self._started > _LONG_LIFE
        self._delay = 0.0 if long_life else min(_LONGEST_DELAY, max(_FIRST_DELAY, 2 * self._delay))
        if was_ready:
            self._log("warning", f"it ended ({reason}); its applications live on, a new one is built")
            # Orders it had not taken wait for the next one; those it had are lost.
            for name in list(self._sent):
                self._settle(name)
                self._failed(name, f"its template ended ({reason}) while forking it", self._last())
            self._retry = self._loop.call_later(self._delay, self.start)
        else:
            self._give_up(f"its template could not start: {reason}", self._last())

    def _give_up(self, reason: str, stderr: tuple[str, ...]) -> None:
        # Whoever ordered decides when to try again: the next order starts the next template.
        self._fail_orders(reason, stderr)
        self._tell_first(reason, stderr)

    def _tell_first(self, reason: str, stderr: tuple[str, ...]) -> None:
        first, self._first = self._first, None
        if first is not None:
            first(reason, stderr)

    def _fail_orders(self, reason: str, stderr: tuple[str, ...]) -> None:
        orders, self._waiting = self._waiting, []
        for order in orders:
            order.listener.close()
        names = [order.name for order in orders] + list(self._sent)
        for name in list(self._sent):
            self._settle(name)
        for name in names:
            self._failed(name, reason, stderr)

    def _read_output(self) -> None:
        output = self._output
        if output is not None and not output.read():
            self._loop.forget(output.reader)

    def _last(self) -> tuple[str, ...]:
        return tuple(self._output.last) if self._output is not None else ()

    def _hang_up(self) -> None:
        """Read what has been said and close. From the shutdown on an application cannot say "up" any more and
        ends: none comes up unnoticed between the two."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._receive()
        if self._socket is not None:
            self._loop.forget(self._socket.fileno())
            self._socket.close()
            self._socket = None
