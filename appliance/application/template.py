"""A warm template: it loads an application once, and forks a process that serves it whenever it is told to.

The supervisor starts it with FCGIBOX_TEMPLATE=N, a SOCK_SEQPACKET socket on descriptor N. Datagrams:

    ready                  from us, once, when the application is warm
    fork NAME              to us, with two descriptors: a listening socket, standard error of the new process
    up NAME                from the new process itself, so that the kernel tells its pid (SCM_CREDENTIALS)
    failed NAME reason     from us, if there is none

The new process is forked twice. Its parent is thereby the supervisor (a child subreaper), so it outlives us
and ends with the supervisor. The end of the socket is our end.

What is warm is frozen (gc.freeze): the garbage collector then never touches it, so that its pages stay
shared, and collecting is cheap. Forking needs exactly one thread: a lock held by another one would stay
locked for ever.
"""

from __future__ import annotations

import array
import gc
import os
import signal
import socket
import sys
import threading
import time
from typing import Callable, Mapping

from appliance.application import lifetime
from appliance.application.exchange import Application
from appliance.application.log import note
from appliance.errors import UserError

VARIABLE = "FCGIBOX_TEMPLATE"

_DATAGRAM = 4096
_ADOPTION_LIMIT = 5.0  # seconds


def control_socket(environment: Mapping[str, str]) -> socket.socket | None:
    """The socket to the supervisor, or None if this process is not to be a template. Raises UserError."""
    number = environment.get(VARIABLE)
    if number is None:
        return None
    try:
        control = socket.socket(fileno=int(number))
    except (OSError, ValueError):
        raise UserError(f"{VARIABLE}={number}: this is not the number of an inherited socket") from None
    os.set_inheritable(control.fileno(), False)
    return control


def run(
    control: socket.socket,
    warm: Callable[[], Application],
    serve: Callable[[Application, socket.socket, lifetime.Stop], None],
) -> None:
    """Be the template: `warm` once, then fork processes that `serve` the application on their listener.

    Returns when the supervisor closes the socket, and in each new process when `serve` returns. Raises
    UserError if the warm application cannot be forked.
    """
    lifetime.end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    application = warm()
    _freeze()
    _check_threads()
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda *_: os._exit(0))
    try:
        control.send(b"ready")
        listener = _wait_for_orders(control)
    except OSError as error:
        note(f"the template lost its supervisor: {error}")
        return
    if listener is not None:
        serve(application, listener, lifetime.Stop(ignore_interrupt=True))


def _wait_for_orders(control: socket.socket) -> socket.socket | None:
    """Fork as often as we are told to. Returns None at the end, and in each new process its listener."""
    while True:
        order = _receive(control)
        if order is None:
            return None
        name, descriptors = order
        if _fork(control, name, descriptors):
            return _become(control, name, descriptors)


def _freeze() -> None:
    gc.collect()
    gc.freeze()


def _check_threads() -> None:
    tasks = (
        len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else threading.active_count()
    )
    if tasks == 1 and threading.active_count() == 1:
        return
    names = ", ".join(
        thread.name for thread in threading.enumerate() if thread is not threading.main_thread()
    )
    raise UserError(
        f"the application has started {tasks - 1} more threads ({names or 'not known to Python'}), so it "
        'cannot be forked. A plugin does this; run without it, or without "template" => "enable"'
    )


def _receive(control: socket.socket) -> tuple[str, list[int]] | None:
    """The next order with its descriptors; None at the end."""
    while True:
        descriptors = array.array("i")
        space = socket.CMSG_SPACE(4 * descriptors.itemsize)
        datagram, ancillary, _, _ = control.recvmsg(_DATAGRAM, space, socket.MSG_CMSG_CLOEXEC)
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
        if not datagram:
            return None
        verb, _, name = datagram.decode("utf-8", "replace").partition(" ")
        if verb == "fork" and name and len(descriptors) == 2:
            return name, list(descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        note(f"the template does not understand {datagram!r} with {len(descriptors)} descriptors")


def _fork(control: socket.socket, name: str, descriptors: list[int]) -> bool:
    """Fork twice; True in the new process."""
    try:
        between = os.fork()
    except OSError as error:
        _failed(control, name, descriptors, str(error))
        return False
    if between == 0:
        between = os.getpid()
        try:
            if os.fork():
                os._exit(0)
        except OSError as error:
            os._exit(error.errno or 1)
        _wait_for_adoption(between)
        return True
    status = os.waitpid(between, 0)[1]
    if status:
        reason = os.strerror(os.WEXITSTATUS(status)) if os.WIFEXITED(status) else "killed"
        _failed(control, name, descriptors, reason)
        return False
    for descriptor in descriptors:
        os.close(descriptor)
    return False


def _failed(control: socket.socket, name: str, descriptors: list[int], reason: str) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
    control.send(f"failed {name} cannot fork: {reason}".encode("utf-8", "replace"))


def _wait_for_adoption(between: int) -> None:
    # The process between us and the template ends at once; there is no event to wait for.
    limit = time.monotonic() + _ADOPTION_LIMIT
    while os.getppid() == between:
        if time.monotonic() > limit:
            os._exit(1)
        time.sleep(0.0002)


def _become(control: socket.socket, name: str, descriptors: list[int]) -> socket.socket:
    """Turn the new process into the application `name`; returns its listener.

    Descriptor 0 stays /dev/null: what the application starts must not inherit the listener.
    """
    os.setpgid(0, 0)
    lifetime.end_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # until the server takes it
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    sys.stderr.flush()
    listener, errors = descriptors
    os.dup2(errors, 2)
    os.close(errors)
    # Fails if the supervisor is gone already; whoever adopted us then is the wrong parent.
    control.send(f"up {name}".encode("utf-8", "replace"))
    control.close()
    return socket.socket(fileno=listener)
