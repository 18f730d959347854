"""The socket an application process serves: handed over on descriptor 0, or made here.

FastCGI 1.0 section 2.2 hands the listening socket over as descriptor 0; fronts that start nothing connect to
a path or an address. A socket left behind by a dead process is recognised by connecting to it, a live one is
left alone.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import socket
import stat
from typing import Iterator

from appliance.errors import UserError

_BACKLOG = 1024


def inherited(descriptor: int = 0) -> socket.socket:
    """The listening socket on `descriptor`. Raises UserError if there is none."""
    try:
        listener = socket.socket(fileno=os.dup(descriptor))
        listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError:
        listening = 0
    if not listening:
        raise UserError(
            "there is no listening socket on standard input. A web server that starts this program puts one "
            "there; to listen without one, give --socket PATH or --bind ADDR:PORT",
            status=2,
        )
    # What the application starts must not inherit the listener.
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, descriptor)
    os.close(null)
    return listener


@contextlib.contextmanager
def on_path(path: str, mode: str | None, group: str | None) -> Iterator[socket.socket]:
    """A unix socket at `path`, removed afterwards. `mode` is octal, `group` a name or number.

    Raises UserError, e.g. if somebody listens there.
    """
    permissions = _mode(mode)
    group_id = _group(group)
    path = os.path.abspath(path)
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Closed to everybody until mode and group are right.
        before = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(before)
        if group_id is not None:
            os.chown(path, -1, group_id)
        os.chmod(path, permissions)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise UserError(f"cannot listen on the socket {path}: {error.strerror or error}") from None
    ours = os.stat(path)
    try:
        yield listener
    finally:
        listener.close()
        with contextlib.suppress(OSError):
            now = os.stat(path)
            if (now.st_dev, now.st_ino) == (ours.st_dev, ours.st_ino):
                os.unlink(path)


@contextlib.contextmanager
def on_address(text: str) -> Iterator[socket.socket]:
    """A TCP socket on "ADDR:PORT" or "[ADDR]:PORT". Raises UserError, e.g. if the port is taken."""
    host, port = _address(text)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise UserError(f"--bind {text}: {error.strerror}") from None
    with socket.socket(family, kind, protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError as error:
            hint = "; another program listens there" if error.errno == errno.EADDRINUSE else ""
            raise UserError(f"cannot listen on {text}: {error.strerror}{hint}") from None
        yield listener


def _remove_stale(path: str) -> None:
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"cannot listen on the socket {path}: {error.strerror}") from None
    if not stat.S_ISSOCK(kind):
        raise UserError(f"{path} exists and is not a socket; it is left alone. Choose another --socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            # A full backlog, or no permission: somebody may be there.
            raise UserError(f"the socket {path} is in use, as far as can be told: {error}") from None
    raise UserError(
        f"another process listens on the socket {path}; stop it first, or choose another --socket"
    )


def _mode(text: str | None) -> int:
    if text is None:
        return 0o660
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise UserError(f"--socket-mode {text}: it is an octal number like 660", status=2)
    return mode


def _group(name: str | None) -> int | None:
    if name is None:
        return None
    try:
        return int(name) if name.isdigit() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise UserError(f"--socket-group {name}: there is no such group", status=2) from None


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise UserError(f"--bind {text}: it is ADDR:PORT, like 127.0.0.1:9000 or [::1]:9000", status=2)
    return host, int(port)
