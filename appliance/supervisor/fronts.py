"""The front processes: forked, told about pools and files, replaced when they die, drained at a reload.

One front is current; others only finish their requests. A front that dies is followed by a new generation at
once, with every slot it held suspect; one that keeps dying is started with growing pauses. What is said
between them and the pools is in `conversation`.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from appliance.report.error_log import ErrorLog
from appliance.supervisor.channel import Channel, Message
from appliance.supervisor.children import Children
from appliance.supervisor.conversation import Conversation
from appliance.supervisor.files import Snapshot, Watch
from appliance.supervisor.front import Front, FrontEntry
from appliance.supervisor.logs import Logs
from appliance.supervisor.loop import READ, WRITE, Loop, Timer
from appliance.supervisor.output import Output
from appliance.supervisor.plan import Plan
from appliance.supervisor.processes import confine, describe_exit, fork_child
from appliance.supervisor.stuck import Stuck

READY_LIMIT = 30.0
"""Seconds from the fork to "ready"."""
STATUS_PATIENCE = 2.0
_KILL_AFTER = 2.0  # seconds that a front may overrun its limit
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0
_LONG_LIFE = 10.0


class Fronts:
    """All of them."""

    def __init__(
        self,
        loop: Loop,
        children: Children,
        log: ErrorLog,
        files: Watch,
        entry: FrontEntry,
        graceful_limit: float,
        ended: Callable[[], None],
    ) -> None:
        """`ended` is called after a front has gone, whatever the reason."""
        self._loop = loop
        self._children = children
        self._log = log
        self._files = files
        self._entry = entry
        self._graceful_limit = graceful_limit
        self._ended = ended
        self._generation = 0
        self._status_number = 0
        self._deaths = 0
        self._retry: Timer | None = None
        self._stopping = False
        self.started = 0.0
        self.current: Front | None = None
        self.living: list[Front] = []
        self.conversation = Conversation(log, self.living, self._send, Stuck(loop, log))

    def start(self, plan: Plan, ready: Callable[[], None], failed: Callable[[str], None]) -> None:
        """Fork a front for a plan. Then `ready()` once it accepts connections, or `failed(reason)`."""
        self._generation += 1
        ours, theirs = socket.socketpair()
        output = Output(partial(self._log.write, "warning", f"front-{self._generation}"), self._loop.now)
        listeners = {name: sock.fileno() for name, sock in plan.sockets.items()}
        logs = dict(plan.logs.descriptors)
        try:
            pid = fork_child(
                partial(self._become_front, plan, listeners, theirs.fileno(), logs, self._generation),
                # A front with a chroot imports what it needs first, and changes then.
                plan.front if plan.front.root is None else None,
                {*listeners.values(), *logs.values(), theirs.fileno()},
                output.writer,
            )
        except OSError as error:
            ours.close()
            output.close()
            failed(f"the front could not be started: {error.strerror}")
            return
        finally:
            theirs.close()
        output.sent()
        front = Front(self._generation, pid, plan, Channel(ours), output, self._loop.now(), ready, failed)
        self.living.append(front)
        front.timer = self._loop.call_later(READY_LIMIT, partial(self._too_slow, front))
        self._loop.watch(output.reader, READ, partial(self._read_output, front))
        self._loop.watch(front.channel.fileno(), READ, partial(self._turn, front))
        self._children.add(pid, partial(self._died, front))
        self._introduce(front)

    def _become_front(
        self, plan: Plan, listeners: dict[str, int], channel_fd: int, logs: dict[str, int], generation: int
    ) -> int:
        from appliance.front.options import FrontOptions

        resource.setrlimit(resource.RLIMIT_NOFILE, (plan.descriptors, plan.descriptors))
        options = FrontOptions(
            self.started,
            generation,
            plan.connection_limit,
            plan.spool_directory,
            self._graceful_limit,
            None if plan.front.root is None else partial(confine, plan.front, os.getppid()),
        )
        return self._entry(plan.configuration, listeners, channel_fd, logs, options)

    def _introduce(self, front: Front) -> None:
        for snapshot in self._files.current.values():
            self._push(front, snapshot)
        self.conversation.introduce(front)

    # The life of one

    def _turn(self, front: Front) -> None:
        if front.channel.fileno() < 0:
            return
        try:
            front.channel.flush()
            for message, fds in front.channel.receive():
                for fd in fds:
                    os.close(fd)
                self._handle(front, message)
        except EOFError:
            self._hang_up(front)
            return
        self._watch(front)

    def _handle(self, front: Front, message: Message) -> None:
        kind = message.get("type")
        if kind == "ready" and front.state == "starting":
            self._now_ready(front)
        elif kind == "drained":
            front.drained = True
        elif kind == "status":
            answer = front.answers.pop(int(message.get("id", -1)), None)
            if answer is not None:
                answer(message.get("data"))
        else:
            self.conversation.told(front, message)

    def _now_ready(self, front: Front) -> None:
        front.state = "ready"
        if front.timer is not None:
            front.timer.cancel()
        previous, self.current = self.current, front
        if previous is not None:
            self.drain(previous)
        front.ready()

    def drain(self, front: Front) -> None:
        """Let it finish what it has, within the limit, and end."""
        if front.state == "draining":
            return
        front.state = "draining"
        self._send(front, {"type": "drain", "limit": self._graceful_limit})
        front.timer = self._loop.call_later(self._graceful_limit + _KILL_AFTER, partial(self._overdue, front))

    def _overdue(self, front: Front) -> None:
        self._log.write(
            "warning", "supervisor", f"front-{front.generation} has not ended in time and is killed"
        )
        self.kill(front)

    def _too_slow(self, front: Front) -> None:
        self._log.write(
            "error", "supervisor", f"front-{front.generation} was not ready after {READY_LIMIT:g} s"
        )
        self.kill(front)

    def kill(self, front: Front) -> None:
        """End it now."""
        self._children.end(front.pid, ((0.0, signal.SIGKILL),))

    def stop(self, *, urgent: bool) -> None:
        """Start no more; drain those that live, or kill them."""
        self._stopping = True
        if self._retry is not None:
            self._retry.cancel()
        for front in self.living:
            # One that is still starting has no request to finish.
            if urgent or front.state == "starting":
                self.kill(front)
            else:
                self.drain(front)

    def _died(self, front: Front, status: int) -> None:
        # Its last words may still be in the channel: slots given back, "drained".
        self._turn(front)
        self._hang_up(front)
        front.output.read()
        self._loop.forget(front.output.reader)
        front.output.close()
        if front.timer is not None:
            front.timer.cancel()
        self.living.remove(front)
        self.conversation.left(front)
        for answer in front.answers.values():
            answer(None)
        reason = describe_exit(status)
        if front.state == "starting":
            last = front.output.last
            front.failed(f"the front ended before it was ready: {reason}" + (f"; {last[-1]}" if last else ""))
        elif not front.drained:
            self._log.write(
                "error", "supervisor", f"front-{front.generation} (process {front.pid}) died: {reason}"
            )
        if self.current is front:
            self.current = None
            if not self._stopping:
                self._follow(front)
        self._ended()

    def _follow(self, front: Front) -> None:
        long_life = self._loop.now() - front.started > _LONG_LIFE
        self._deaths = 0 if long_life else self._deaths + 1
        if self._deaths <= 1:
            self._again(front.plan)
            return
        delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (self._deaths - 2))
        self._log.write(
            "error", "supervisor", f"the front died soon after its start, {self._deaths} times in a row; "
            f"the next one starts in {delay:g} s"
        )  # fmt: skip
        self._retry = self._loop.call_later(delay, partial(self._again, front.plan))

    def _again(self, plan: Plan) -> None:
        self._retry = None
        # A front that is starting (a reload's) will do; if it fails, `ensure` comes.
        starting = any(front.state == "starting" for front in self.living)
        if not (self._stopping or starting or self.current):
            self.start(plan, lambda: None, partial(self._failed_again, plan))

    def ensure(self, plan: Plan) -> None:
        """Have a front for this plan, if there is none at all."""
        if self._retry is None:
            self._again(plan)

    def _failed_again(self, plan: Plan, reason: str) -> None:
        self._deaths += 1
        delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2**self._deaths)
        self._log.write("error", "supervisor", f"{reason}; the next one starts in {delay:g} s")
        self._retry = self._loop.call_later(delay, partial(self._again, plan))

    # Files, logs, status

    def push(self, snapshot: Snapshot) -> None:
        """A password file has changed."""
        for front in self.living:
            self._push(front, snapshot)

    def _push(self, front: Front, snapshot: Snapshot) -> None:
        message = {
            "type": "file",
            "path": snapshot.path,
            "content": snapshot.content,
            "error": snapshot.error,
        }
        self._send(front, message)

    def hand_logs(self, logs: Logs) -> None:
        """The log files were opened again."""
        names = list(logs.descriptors)
        for front in self.living:
            if front.plan.logs is logs:
                self._send(
                    front, {"type": "logs", "names": names}, [logs.descriptors[name] for name in names]
                )

    def ask_status(self, answer: Callable[[dict[str, Any] | None], None]) -> None:
        """What the current front says about itself; None if it does not within two seconds."""
        front = self.current
        if front is None:
            answer(None)
            return
        self._status_number += 1
        number = self._status_number
        front.answers[number] = answer
        self._loop.call_later(STATUS_PATIENCE, partial(self._no_status, front, number))
        self._send(front, {"type": "status", "id": number})

    def _no_status(self, front: Front, number: int) -> None:
        answer = front.answers.pop(number, None)
        if answer is not None:
            answer(None)

    # The channel

    def _send(self, front: Front, message: Message, fds: list[int] | None = None) -> None:
        if front.channel.fileno() < 0:
            return
        try:
            front.channel.send(message, fds or ())
        except EOFError:
            # It is dying, or does not read: SIGCHLD or its limit will tell.
            self._hang_up(front)
            return
        self._watch(front)

    def _watch(self, front: Front) -> None:
        if front.channel.fileno() >= 0:
            events = READ | WRITE if front.channel.wants_write else READ
            self._loop.watch(front.channel.fileno(), events, partial(self._turn, front))

    def _hang_up(self, front: Front) -> None:
        if front.channel.fileno() >= 0:
            self._loop.forget(front.channel.fileno())
            front.channel.close()
            if front.state != "draining":
                # A front without its supervisor serves nobody's configuration.
                self.kill(front)

    def _read_output(self, front: Front) -> None:
        if not front.output.closed and not front.output.read():
            self._loop.forget(front.output.reader)
