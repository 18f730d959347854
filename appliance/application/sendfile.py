"""`wsgi.file_wrapper`: a file that the front can send itself is named by X-Sendfile instead of being copied.

Only where the front agreed to it: FCGIBOX_XSENDFILE names the directories, and the peer of the connection
must be a process of our own user or root, because it has to open the file by name. In all other cases the
file is streamed.
"""

from __future__ import annotations

import os
import re
import socket
import stat
import struct
from typing import Any, Iterator, Mapping

VARIABLE = "FCGIBOX_XSENDFILE"
"""Absolute directories joined by ":"; files below them are named to the front."""

_BLOCK = 65528
# lighttpd decodes %XX in the value and refuses what is not UTF-8.
_ENCODED = re.compile(rb"[%\x00-\x1f\x7f-\xff]")


class FileWrapper:
    """PEP 3333: an iterable over what is left of a file."""

    def __init__(self, filelike: Any, block_size: int = _BLOCK) -> None:
        self.filelike = filelike
        self._block_size = max(block_size, _BLOCK)

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.filelike.read(self._block_size), b"")

    def close(self) -> None:
        """Close the file."""
        close = getattr(self.filelike, "close", None)
        if close is not None:
            close()


class Sendfile:
    """Decides for one connection which files its peer may send."""

    def __init__(self, directories: tuple[str, ...], peer_uid: int | None) -> None:
        """`peer_uid` is the user of the front, None if it is not known (TCP)."""
        self._directories = directories if peer_uid in (0, os.geteuid()) else ()

    def path_for(self, wrapper: FileWrapper, length: int | None) -> str | None:
        """The value of X-Sendfile for the whole file, or None if it has to be streamed.

        `length` is the Content-Length that the application gave; a part of a file is not the file.
        """
        if not self._directories:
            return None
        try:
            status = os.fstat(wrapper.filelike.fileno())
            name = wrapper.filelike.name
            if not stat.S_ISREG(status.st_mode) or wrapper.filelike.tell() != 0 or not isinstance(name, str):
                return None
            path = os.path.realpath(name)
            named = os.stat(path)
        except (AttributeError, OSError, ValueError):
            return None  # not a real file, or no longer the one of that name
        if (named.st_dev, named.st_ino) != (status.st_dev, status.st_ino):
            return None
        if length is not None and length != status.st_size:
            return None
        if not any(path.startswith(directory + os.sep) for directory in self._directories):
            return None
        try:
            octets = path.encode("utf-8")
        except UnicodeEncodeError:
            return None
        return _ENCODED.sub(lambda match: b"%%%02X" % match.group()[0], octets).decode("ascii")


def directories(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The directories that FCGIBOX_XSENDFILE names, as they really are."""
    named = environment.get(VARIABLE, "").split(os.pathsep)
    return tuple(os.path.realpath(name).rstrip(os.sep) for name in named if os.path.isabs(name))


def peer_uid(connection: socket.socket) -> int | None:
    """The user at the other end of a unix socket."""
    if connection.family != socket.AF_UNIX:
        return None
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", raw)[1])
