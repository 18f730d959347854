"""Addresses that somebody else serves already: as in lighttpd he is used, and none of ours started.

What a dead process of ours has left (php-cgi's children hold the port of their parent) is no such server: it
will be gone in a moment.
"""

from __future__ import annotations

import os
import socket

from appliance.errors import UserError
from appliance.supervisor.holders import holder_of_socket, holders_of_port
from appliance.supervisor.identity import Identity, permissions
from appliance.supervisor.listeners import answers
from appliance.supervisor.processes import parent

_PATIENCE = 1.0  # seconds; what does not answer on this machine by then is no server


def serves_path(path: str, front: Identity) -> bool:
    """Whether somebody listens on a unix socket. UserError if the front may not connect to it."""
    try:
        status = os.stat(path)
        if not answers(path):
            return False
    except OSError:
        return False
    if front.uid != 0 and not permissions(status, front) & 0o2:
        raise UserError(
            f"{holder_of_socket(path) or 'another process'} listens on {path}, but {front.name} may not "
            f"connect to it; `chmod o+w {path}`, or start it with another mode, or choose another path"
        )
    return True


def serves_port(host: str, port: int) -> bool:
    """Whether somebody who is not of ours listens on a TCP port of this machine."""
    try:
        socket.create_connection((host, port), _PATIENCE).close()
    except OSError:
        return False
    return not any(_is_ours(pid) for pid in holders_of_port(port))


def _is_ours(pid: int | None) -> bool:
    # Whoever loses his parent below us gets us as his parent (PR_SET_CHILD_SUBREAPER).
    while pid is not None and pid > 1:
        if pid == os.getpid():
            return True
        pid = parent(pid)
    return False
