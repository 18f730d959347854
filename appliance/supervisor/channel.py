"""Messages between the supervisor and a front: length-prefixed JSON over a socketpair, descriptors beside it.

A frame is a 4-byte big-endian length and a JSON object. A message with `"fds": n` carries n descriptors, sent
with SCM_RIGHTS on the first byte of its frame, so that they are there when the frame is. Neither end ever
blocks on the other: what does not fit waits in a bounded queue.
"""

from __future__ import annotations

import array
import json
import os
import socket
import struct
from collections import deque
from collections.abc import Sequence
from typing import Any

Message = dict[str, Any]

# A password file of 4 MiB, each of its bytes escaped in JSON, fits; a length beyond it is a broken peer.
FRAME_LIMIT = 32 << 20
QUEUE_LIMIT = 64 << 20

_LENGTH = struct.Struct(">I")
_DESCRIPTORS_LIMIT = 64
_READ_SIZE = 65536


class ChannelBroken(EOFError):
    """The peer sent what is not the protocol, or does not read any more."""


class Channel:
    """One end. The owner watches `fileno()` for reading always, and for writing while `wants_write`."""

    def __init__(self, sock: socket.socket) -> None:
        """Takes `sock` over and makes it non-blocking."""
        sock.setblocking(False)
        self._socket = sock
        self._out: deque[tuple[memoryview, Sequence[int]]] = deque()
        self._queued = 0
        self._in = bytearray()
        self._descriptors: deque[int] = deque()

    def fileno(self) -> int:
        """The descriptor to watch."""
        return self._socket.fileno()

    @property
    def wants_write(self) -> bool:
        """Something waits to be written."""
        return bool(self._out)

    def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Queue a message and write what can be written now.

        The descriptors are duplicated at once, so the caller may close its own. Raises EOFError when the peer
        is gone or has let `QUEUE_LIMIT` bytes pile up.
        """
        if fds:
            message = {**message, "fds": len(fds)}
        body = json.dumps(message, separators=(",", ":")).encode()
        if len(body) > FRAME_LIMIT or self._queued + len(body) > QUEUE_LIMIT:
            raise ChannelBroken(f"no room for a message of {len(body)} bytes")
        frame = memoryview(_LENGTH.pack(len(body)) + body)
        self._out.append((frame, tuple(os.dup(fd) for fd in fds)))
        self._queued += len(frame)
        self.flush()

    def flush(self) -> bool:
        """Write without blocking; True when nothing is left. Raises EOFError when the peer is gone."""
        while self._out:
            frame, fds = self._out[0]
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
            try:
                sent = self._socket.sendmsg([frame], rights)
            except BlockingIOError:
                return False
            except (BrokenPipeError, ConnectionResetError) as error:
                raise EOFError("the peer has closed the channel") from error
            for fd in fds:
                os.close(fd)
            self._queued -= sent
            if sent == len(frame):
                self._out.popleft()
            else:
                self._out[0] = (frame[sent:], ())
        return True

    def receive(self) -> list[tuple[Message, list[int]]]:
        """All complete messages that have arrived, each with its descriptors (now the caller's).

        Raises EOFError at the end, once everything before it has been returned.
        """
        ended = False
        try:
            while not ended:
                data, ancillary, _, _ = self._socket.recvmsg(
                    _READ_SIZE, socket.CMSG_SPACE(_DESCRIPTORS_LIMIT * 4), socket.MSG_CMSG_CLOEXEC
                )
                for level, kind, content in ancillary:
                    if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                        numbers = array.array("i")
                        numbers.frombytes(content[: len(content) - len(content) % numbers.itemsize])
                        self._descriptors.extend(numbers)
                self._in += data
                ended = not data
        except BlockingIOError:
            pass
        except ConnectionResetError:
            ended = True
        messages = self._frames()
        if ended and not messages:
            raise EOFError("the peer has closed the channel")
        return messages

    def _frames(self) -> list[tuple[Message, list[int]]]:
        messages: list[tuple[Message, list[int]]] = []
        start = 0
        while len(self._in) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._in, start)
            if length > FRAME_LIMIT:
                raise ChannelBroken(f"a frame of {length} bytes")
            end = start + _LENGTH.size + length
            if len(self._in) < end:
                break
            messages.append(self._decode(bytes(self._in[start + _LENGTH.size : end])))
            start = end
        del self._in[:start]
        return messages

    def _decode(self, body: bytes) -> tuple[Message, list[int]]:
        try:
            message = json.loads(body)
            count = int(message.get("fds", 0))
        except (ValueError, TypeError, AttributeError) as error:
            raise ChannelBroken(f"not a message: {error}") from error
        if count > len(self._descriptors):
            raise ChannelBroken(f"a message of {count} descriptors with {len(self._descriptors)}")
        return message, [self._descriptors.popleft() for _ in range(count)]

    def close(self) -> None:
        """Close the socket and every descriptor that was on its way."""
        for _, fds in self._out:
            for fd in fds:
                os.close(fd)
        self._out.clear()
        while self._descriptors:
            os.close(self._descriptors.popleft())
        self._socket.close()
