"""What waits to be sent to one client: octets and parts of files, in order.

Nothing is copied that need not be: files go out by sendfile(2). One flush sends a bounded amount, so that a
client on a fast line does not keep the others waiting.
"""

from __future__ import annotations

import _socket
import enum
import os
from collections import deque

from appliance.http.response import FileBody, OpenFile

BUDGET = 1 << 20  # octets of one flush


class Progress(enum.Enum):
    """How a flush ended."""

    DONE = "done"
    BLOCKED = "blocked"  # the client takes no more: wait for WRITE
    MORE = "more"  # the budget is used up: let others have a turn


class Truncated(OSError):
    """A file became shorter while it was sent: the response cannot be completed."""


class _Part:
    """A range of an open file that is still to be sent."""

    __slots__ = ("file", "left", "offset")

    def __init__(self, file: OpenFile, offset: int, left: int) -> None:
        self.file = file
        self.offset = offset
        self.left = left


class Output:
    """The queue of one connection."""

    __slots__ = ("_files", "_parts", "sent", "waiting")

    def __init__(self) -> None:
        self._parts: deque[bytes | memoryview | _Part] = deque()
        self._files: list[OpenFile] = []
        self.waiting = 0  # octets not yet taken by the kernel
        self.sent = 0  # octets taken, since the last `reset`

    def add(self, data: bytes) -> None:
        """Queue octets."""
        if data:
            self._parts.append(data)
            self.waiting += len(data)

    def add_file(self, body: FileBody) -> None:
        """Queue the parts of a file body; its files are closed when all is sent or `clear` is called."""
        self._files.append(body.file)
        for part in body.parts:
            if isinstance(part, bytes):
                self.add(part)
            elif part[1]:
                self._parts.append(_Part(body.file, *part))
                self.waiting += part[1]
        for further in body.then:
            self.add_file(further)

    def clear(self) -> None:
        """Forget what was not sent and close the files."""
        self._parts.clear()
        self.waiting = 0
        while self._files:
            self._files.pop().close()

    def take(self) -> bytes:
        """The octets that wait, for somebody else to send; there are no files among them."""
        octets = b"".join(part for part in self._parts if not isinstance(part, _Part))
        self.clear()
        return octets

    def flush(self, sock: _socket.socket) -> Progress:
        """Send what the client takes now. Raises OSError if it has gone, Truncated if a file has shrunk."""
        budget = BUDGET
        parts = self._parts
        while parts:
            if budget <= 0:
                return Progress.MORE
            part = parts[0]
            try:
                if isinstance(part, _Part):
                    sent = self._send_file(sock, part, budget)
                else:
                    sent = sock.send(part)
                    if sent == len(part):
                        parts.popleft()
                    else:
                        parts[0] = memoryview(part)[sent:]
            except (BlockingIOError, InterruptedError):
                return Progress.BLOCKED
            budget -= sent
            self.sent += sent
            self.waiting -= sent
        while self._files:
            self._files.pop().close()
        return Progress.DONE

    def _send_file(self, sock: _socket.socket, part: _Part, budget: int) -> int:
        sent = os.sendfile(sock.fileno(), part.file.fd, part.offset, min(part.left, budget))
        if sent == 0:
            raise Truncated("a file became shorter while it was sent")
        part.offset += sent
        part.left -= sent
        if not part.left:
            self._parts.popleft()
        return sent
