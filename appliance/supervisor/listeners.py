"""Listening sockets of the front: bound by the supervisor, so that they outlive every front and every reload.

An address that is taken names its holder, a port that needs a privilege names the ways to get it, a unix
socket that nobody answers on is an earlier run's and is replaced. systemd's sockets (LISTEN_FDS) are used
where they fit.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import sys
from collections.abc import Mapping

from appliance.config import Listener
from appliance.errors import UserError
from appliance.supervisor.environment import is_frozen
from appliance.supervisor.holders import holder_of_port, holder_of_socket

_FIRST_PASSED = 3
_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6, "unix": socket.AF_UNIX}


def passed_sockets(environment: Mapping[str, str]) -> dict[str, socket.socket]:
    """The listening sockets that systemd handed over, by listener name. The protocol is sd_listen_fds(3)."""
    pid = environment.get("LISTEN_PID", "")
    # The frozen program's outer process is the one that systemd started.
    if pid not in {str(os.getpid()), str(os.getppid()) if is_frozen() else ""}:
        return {}
    result = {}
    for fd in range(_FIRST_PASSED, _FIRST_PASSED + int(environment.get("LISTEN_FDS", "0"))):
        os.set_inheritable(fd, False)
        sock = socket.socket(fileno=fd)
        if sock.type == socket.SOCK_STREAM and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            sock.setblocking(False)
            result[_name(sock)] = sock
    return result


def _name(sock: socket.socket) -> str:
    address = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{address}"
    return f"[{address[0]}]:{address[1]}" if sock.family == socket.AF_INET6 else f"{address[0]}:{address[1]}"


def bind(listener: Listener, *, one_family: bool = True) -> socket.socket:
    """Bind and listen, non-blocking. Raises UserError with the reason and the way out.

    Without `one_family` the IPv6 wildcard also takes IPv4 clients, where the machine is set so.
    """
    sock = socket.socket(_FAMILIES[listener.kind], socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if listener.kind == "unix":
            bind_unix(sock, listener.address)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if listener.kind == "inet6" and one_family:
                # One line of the configuration is one family, as in lighttpd.
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((listener.address, listener.port))
        sock.listen(listener.backlog)
    except OSError as error:
        sock.close()
        raise UserError(_refusal(listener, error)) from error
    except UserError:
        sock.close()
        raise
    return sock


def bind_unix(sock: socket.socket, path: str) -> None:
    """Bind a unix socket, replacing a dead one. UserError if it is alive, or something else is there."""
    try:
        sock.bind(path)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise UserError(f"cannot listen on {path}: there is a file of that name; remove it") from None
        if answers(path):
            raise UserError(
                f"cannot listen on {path}: {holder_of_socket(path) or 'another process'} is using it; "
                "stop that one, or choose another path"
            ) from None
        os.unlink(path)
        sock.bind(path)


def permit(path: str, mode: int) -> None:
    """Set the permissions of our unix socket. UserError if it is not there, or is no socket."""
    try:
        # By descriptor: a link that somebody has put in its place must not be followed.
        fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if not stat.S_ISSOCK(os.fstat(fd).st_mode):
                raise OSError(errno.ENOTSOCK, "what is there is no socket", path)
            os.chmod(f"/proc/self/fd/{fd}", mode)
        finally:
            os.close(fd)
    except OSError as error:
        raise UserError(
            f"cannot set server.socket-perms of {path}: {error.strerror}; was it removed while we run?"
        ) from error


def answers(path: str) -> bool:
    """Whether somebody listens on a unix socket, however busy. OSError if we cannot know."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except BlockingIOError:
            return True  # a full backlog
        except ConnectionRefusedError:
            return False
    return True


def remove_unix(path: str) -> None:
    """Remove our own socket from the file system."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def _refusal(listener: Listener, error: OSError) -> str:
    name = listener.name
    if error.errno == errno.EADDRINUSE:
        holder = holder_of_port(listener.port)
        whose = f"{holder} is using it" if holder else "it is in use by a process of another user"
        return f"cannot listen on {name}: {whose}; stop that one, or choose another port"
    if error.errno == errno.EACCES and listener.kind != "unix":
        return (
            f"cannot listen on {name}: ports below {_first_free_port()} need a privilege. "
            "One of these gives it:\n"
            f"  sudo setcap cap_net_bind_service=+ep {os.path.realpath(sys.executable)}\n"
            f"  sudo sysctl net.ipv4.ip_unprivileged_port_start={listener.port}\n"
            "  AmbientCapabilities=CAP_NET_BIND_SERVICE   in the [Service] section of the systemd unit\n"
            "or start as root (the front gives root up), or choose a port such as 8000"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"cannot listen on {name}: this machine has no such address (`ip address` lists what it has)"
    if error.errno == errno.ENOENT and listener.kind == "unix":
        directory = os.path.dirname(listener.address)
        return f"cannot listen on {name}: there is no directory {directory}; create it"
    if error.errno == errno.EAFNOSUPPORT:
        return f"cannot listen on {name}: this machine has no IPv6; bind an IPv4 address instead"
    return f"cannot listen on {name}: {error.strerror}"


def _first_free_port() -> int:
    try:
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 1024
