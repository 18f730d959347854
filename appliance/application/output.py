"""Where an answer goes: the head and body of one request, in the words of FastCGI or SCGI.

The rule both protect: an answer that is cut short never looks complete. FastCGI says it by END_REQUEST, which
is not sent for a broken answer; the connection closes instead. SCGI ends an answer by closing the connection,
so only a Content-Length tells a whole answer from a cut one: an answer without one is held back until it is
complete, and gets one.
"""

from __future__ import annotations

import socket
import struct
import sys
import tempfile
from typing import Callable

from appliance.application.records import STDERR, STDOUT, end_request, record, stream

WRITE_TIMEOUT = 300
"""Seconds without progress after which a front that does not read its answer counts as gone."""

_ERRORS_HELD = 8192
_HELD_IN_MEMORY = 256 * 1024


class ClientGone(OSError):
    """Nobody waits for this answer any more. An OSError, as applications expect of a lost connection."""


def limit_sending(connection: socket.socket) -> None:
    """Let the kernel keep WRITE_TIMEOUT: Python's own timeout costs two more system calls for each send."""
    connection.setblocking(True)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", WRITE_TIMEOUT, 0))


def send(connection: socket.socket, parts: list[bytes]) -> None:
    """Send all of `parts`. Raises ClientGone."""
    try:
        connection.sendall(b"".join(parts))
    except OSError as error:
        raise ClientGone(error.errno, f"the web server does not take the answer: {error}") from error


class FastCGIOutput:
    """STDOUT and STDERR of one FastCGI request."""

    def __init__(self, connection: socket.socket, request_id: int, watch: Callable[[], None]) -> None:
        """`watch` is called before anything is sent: it raises ClientGone if the request was aborted."""
        self.committed = False  # something of the answer is on its way
        self._connection = connection
        self._id = request_id
        self._watch = watch
        self._pending: list[bytes] = []
        self._errors = b""

    def head(self, head: bytes, length: int | None) -> None:
        """The CGI head without the empty line that ends it."""
        self._pending += stream(STDOUT, self._id, head + b"\r\n")

    def body(self, data: bytes) -> None:
        """A piece of the body; it leaves with the next `flush`."""
        self._pending += stream(STDOUT, self._id, data)

    def errors(self, data: bytes) -> None:
        """Text for the error log of the front."""
        self._errors += data
        if len(self._errors) > _ERRORS_HELD:
            self._flush_errors()

    def _flush_errors(self) -> None:
        held, self._errors = self._errors, b""
        if held:
            try:
                send(self._connection, stream(STDERR, self._id, held))
            except ClientGone:
                sys.stderr.write(held.decode("utf-8", "replace"))

    def flush(self) -> None:
        """Send what is held."""
        self._watch()
        if self._pending:
            parts, self._pending = self._pending, []
            self.committed = True
            send(self._connection, parts)

    def reset(self) -> None:
        """Forget what was not sent yet, for another answer."""
        self._pending = []

    def finish(self) -> None:
        """The answer is complete."""
        self._flush_errors()
        self._pending += [record(STDOUT, self._id), end_request(self._id)]
        parts, self._pending = self._pending, []
        self.committed = True
        send(self._connection, parts)

    def fail(self) -> None:
        """The answer stays incomplete: no END_REQUEST; the caller closes the connection."""
        self._flush_errors()


class SCGIOutput:
    """The answer to one SCGI request. `wsgi.errors` is our own standard error: there is no other place."""

    def __init__(self, connection: socket.socket) -> None:
        self.committed = False
        self._connection = connection
        self.reset()

    def reset(self) -> None:
        """Forget what was not sent yet, for another answer."""
        self._head: bytes | None = None  # held until the length is known
        self._held = tempfile.SpooledTemporaryFile(max_size=_HELD_IN_MEMORY, prefix="fcgibox-answer-")  # noqa: SIM115
        self._pending: list[bytes] = []

    def head(self, head: bytes, length: int | None) -> None:
        """The CGI head without the empty line that ends it; `length`: its Content-Length, if it has one."""
        if length is None:
            self._head = head
        else:
            self._pending = [head, b"\r\n"]

    def body(self, data: bytes) -> None:
        """A piece of the body; it leaves with the next `flush`."""
        if self._head is None:
            self._pending.append(data)
        else:
            self._held.write(data)

    def errors(self, data: bytes) -> None:
        """Text for our standard error."""
        sys.stderr.write(data.decode("utf-8", "replace"))

    def flush(self) -> None:
        """Send what is held, unless its length is still open."""
        if self._pending:
            parts, self._pending = self._pending, []
            self.committed = True
            send(self._connection, parts)

    def finish(self) -> None:
        """The answer is complete."""
        if self._head is not None:
            self._pending = [self._head, b"Content-Length: %d\r\n\r\n" % self._held.tell()]
            self._held.seek(0)
            piece = self._held.read(65536)
            while piece:
                self._pending.append(piece)
                self.flush()
                piece = self._held.read(65536)
        self.flush()
        self._held.close()

    def fail(self) -> None:
        """The answer stays incomplete: shorter than its Content-Length; the caller closes the connection."""
        self._held.close()
