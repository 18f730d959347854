"""A FastCGI program for somebody else's front, started once and left to itself: what spawn-fcgi does.

This process becomes step by step what the program shall be, in spawn-fcgi's order: the pid file is opened,
users are looked up, the socket is bound (inside the chroot, or before it), privileges are given up, the
directory is entered. Then the program is forked into a session of its own, or takes this process over. What
nobody will use is not left behind: a socket that no program listens on, an emptied pid file of one that runs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pwd
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from appliance.config import Listener
from appliance.errors import UserError
from appliance.supervisor.entry import Entry
from appliance.supervisor.environment import as_given
from appliance.supervisor.identity import Identity, current, resolve
from appliance.supervisor.listeners import bind
from appliance.supervisor.pidfile import PidFile
from appliance.supervisor.processes import Launch, describe_exit, describe_failure, launch

REFUSED = 255
"""spawn-fcgi's exit status (-1) when it started nothing."""

_SETTLING = 0.1  # seconds a program must live to count as started; spawn-fcgi's
_MODE = 0o660  # of a unix socket, as far as the umask allows it; spawn-fcgi's since 1.6.4
_KEEP = -1  # chown(2): leave it as it is


@dataclass(frozen=True, slots=True)
class Order:
    """What to start, where it listens, and as whom it runs."""

    arguments: Sequence[str]
    """The first is a path, seen from the chroot and the directory; no search along PATH."""
    listener: Listener
    mode: int | None = None
    """Of the unix socket; None: read and write for user and group as far as the umask allows it."""
    user: str | None = None
    group: str | None = None
    socket_user: str | None = None
    socket_group: str | None = None
    chroot: str | None = None
    bind_first: bool = False
    """The socket's path is one outside the chroot."""
    directory: str | None = None
    environment: Mapping[str, str] = field(default_factory=as_given)
    processes: int = 1
    pid_file: str | None = None


class _Socket:
    """The listening socket, and its path for the case that nobody will listen on it."""

    def __init__(self, listener: Listener, mode: int | None, owner: tuple[int, int]) -> None:
        self._entry: Entry | None = None
        if listener.kind == "unix":
            self.socket = self._bind_unix(listener, mode, owner)
        else:
            self.socket = bind(listener, one_family=False)
        # The programs share it: most of them cannot deal with an accept that does not wait.
        self.socket.setblocking(True)

    def _bind_unix(self, listener: Listener, mode: int | None, owner: tuple[int, int]) -> socket.socket:
        # Its mode from the first moment on: a chmod afterwards would follow a link that somebody put there.
        mask = os.umask(0o777)
        os.umask(0o777 & ~(_MODE & ~mask if mode is None else mode))
        try:
            sock = bind(listener)
        finally:
            os.umask(mask)
        path = listener.address
        try:
            self._entry = Entry(path)
            if owner != (_KEEP, _KEEP):
                os.chown(path, *owner, follow_symlinks=False)
        except OSError as error:
            sock.close()
            if self._entry is not None:
                self._entry.remove()
            raise UserError(f"cannot set the owner of {path}: {error.strerror}") from None
        return sock

    def fileno(self) -> int:
        return self.socket.fileno()

    def abandon(self) -> None:
        """No program has it: whoever connects must not wait."""
        self.socket.close()
        if self._entry is not None:
            self._entry.remove()


def spawn(order: Order) -> int:
    """Start the processes and say so; the exit status is spawn-fcgi's: that of a program that ended at once,
    1 for one that a signal ended. UserError: nothing was started (255, or the errno of the exec)."""
    # From outside the chroot: inside there may be neither /dev nor /proc.
    null = os.open(os.devnull, os.O_RDWR)
    _close_at_exec()
    # Blocked, the signal waits for us; ignored by whoever started us, it would never come.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    with _as_refusal(), PidFile(order.pid_file) as pid_file:
        listener = _prepare(order)
        pid_file.take()
        pids, failure = _launch(order, listener, null)
        ended = _watch(pids)
        running = [pid for pid in pids if pid not in ended]
        for pid in running:
            print(f"spawn-fcgi: child spawned successfully: PID: {pid}", flush=True)
        pid_file.write(running)
    if not running:
        listener.abandon()
    for status in ended.values():
        print(
            f"fcgibox: {order.arguments[0]} ended right after its start: {describe_exit(status)}; "
            "its messages went to /dev/null, the same command with -n shows them",
            file=sys.stderr,
        )
    if failure is not None:
        raise UserError(_not_started(order, failure), status=failure.errno or REFUSED)
    codes = [os.waitstatus_to_exitcode(status) for status in ended.values()]
    return next((code if code > 0 else 1 for code in reversed(codes) if code), 0)


def replace_ourselves(order: Order) -> NoReturn:
    """The program takes this process over, with our stdout and stderr (for daemontools, runit, systemd)."""
    with _as_refusal():
        listener = _prepare(order)
    os.dup2(listener.fileno(), 0)
    os.set_inheritable(0, True)
    # Python ignores these two; whatever else is ignored, somebody has meant for the program.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execve(order.arguments[0], list(order.arguments), dict(order.environment))
    except OSError as error:
        listener.abandon()
        error.filename = f"executing {order.arguments[0]}"
        raise UserError(_not_started(order, error), status=error.errno or REFUSED) from None


@contextlib.contextmanager
def _as_refusal() -> Iterator[None]:
    """What is refused before anything was started has spawn-fcgi's exit status for it."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error), status=REFUSED) from error


def _prepare(order: Order) -> _Socket:
    """Everything up to the start; the listening socket."""
    if os.getuid() != 0 and (os.getuid(), os.getgid()) != (os.geteuid(), os.getegid()):
        raise UserError(
            "this program has a set-user-ID or set-group-ID bit, which would lend those rights to everybody; "
            f"take it away: chmod ug-s {sys.executable}"
        )
    identity, owner = _identities(order)
    listener = _Socket(order.listener, order.mode, owner) if order.bind_first else None
    step = ""
    try:
        if order.chroot is not None:
            step = f"-c {order.chroot}"
            os.chroot(order.chroot)
            os.chdir("/")
        if listener is None:
            listener = _Socket(order.listener, order.mode, owner)
        step = f"becoming user {identity.name}"
        identity.assume()
        if order.directory is not None:
            step = f"-d {order.directory}, as user {identity.name}"
            os.chdir(order.directory)
    except OSError as error:
        if listener is not None:
            listener.abandon()
        raise UserError(f"{step}: {error.strerror}") from None
    return listener


def _identities(order: Order) -> tuple[Identity, tuple[int, int]]:
    """As whom the program runs, and whose the unix socket is (-U and -G, else those of the program)."""
    program = _changed(order.user, order.group, "-u and -g")
    of_socket = _changed(order.socket_user, order.socket_group, "-U and -G")
    by_user = of_socket if order.socket_user is not None else program if order.user is not None else None
    by_group = of_socket or program
    owner = (by_user.uid if by_user else _KEEP, by_group.gid if by_group else _KEEP)
    return program or current(), owner


def _changed(user: str | None, group: str | None, what: str) -> Identity | None:
    """Another identity than ours; None if none is asked for. Never root's, as spawn-fcgi has it."""
    if user is None and group is None:
        return None
    if user is not None and user.isdigit() and not _listed(int(user)):
        if group is None:
            raise UserError(f"{what}: there is no user {user}, so the group is not known; say it as well")
        found = dataclasses.replace(resolve(None, group, what), uid=int(user), name=user, home="/")
    else:
        found = resolve(user, group, what)
    if (user is not None and found.uid == 0) or found.gid == 0:
        raise UserError(
            f"{what}: these options give root's rights up, so they do not take user or group root; "
            "name another one (Debian's is www-data)"
        )
    return found


def _listed(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _launch(order: Order, listener: _Socket, null: int) -> tuple[list[int], OSError | None]:
    """The processes that were started, and why it is not all of them."""
    start = Launch(
        arguments=order.arguments,
        environment=order.environment,
        identity=current(),
        death_signal=None,
        stdin=listener.fileno(),
        output=null,
        directory=None,
        session=True,
    )
    pids: list[int] = []
    try:
        while len(pids) < order.processes:
            pids.append(launch(start))
    except OSError as error:
        return pids, error
    return pids, None


def _close_at_exec() -> None:
    """What our caller has open beyond 0-2 (a lock, a pipe that somebody reads to its end) is not for a
    daemon."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            os.set_inheritable(int(name), int(name) <= 2)


def _watch(pids: Sequence[int]) -> dict[int, int]:
    """Wait statuses of those that end within the settling time; no longer than until all have."""
    ended: dict[int, int] = {}
    deadline = time.monotonic() + _SETTLING
    while True:
        for pid in pids:
            if pid not in ended:
                which, status = os.waitpid(pid, os.WNOHANG)
                if which:
                    ended[pid] = status
        left = deadline - time.monotonic()
        if len(ended) == len(pids) or left <= 0:
            return ended
        signal.sigtimedwait({signal.SIGCHLD}, left)


def _not_started(order: Order, error: OSError) -> str:
    text = describe_failure(error)
    if "/" not in order.arguments[0]:
        text += "; the program must be a path, PATH is not searched"
    if order.chroot is not None:
        text += f" (seen from {order.chroot}, with the libraries that are there)"
    return text
