"""`Responder`: a scripted FastCGI application, also an authorizer, to test what stands in front of it."""

from __future__ import annotations

import socket
import struct
import threading
from pathlib import Path
from typing import BinaryIO

from appliance.gateway.records import (
    AUTHORIZER,
    BEGIN_REQUEST,
    END_REQUEST,
    PARAMS,
    RESPONDER,
    STDIN,
    STDOUT,
    decode_pairs,
    record,
)

END = record(END_REQUEST, bytes(8))


class Responder:
    """Answers every request with `output` and records it. One request per connection, one at a time."""

    def __init__(self, path: Path) -> None:
        self.output = b"Content-Type: text/plain\r\n\r\nfine\n"
        self.params = b""  # the PARAMS stream of the last request
        self.body = b""
        self.role = 0  # of the last request
        self.requests = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(16)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def pairs(self) -> list[tuple[bytes, bytes]]:
        """The parameters of the last request, in order."""
        return decode_pairs(self.params)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                connection.settimeout(10)
                if self._read(stream):
                    pieces = [self.output[at : at + 60000] for at in range(0, len(self.output), 60000)]
                    connection.sendall(b"".join(record(STDOUT, piece) for piece in pieces) + END)

    def _read(self, stream: BinaryIO) -> bool:
        """Read a whole request; False if the connection ended first. An authorizer has no STDIN."""
        streams = {PARAMS: b"", STDIN: b""}
        role = RESPONDER
        while True:
            head = stream.read(8)
            if len(head) < 8:
                return False
            kind, length, padding = struct.unpack(">xBxxHBx", head)
            content = stream.read(length + padding)[:length]
            if kind == BEGIN_REQUEST:
                role = content[1]
            elif kind in streams:
                streams[kind] += content
                if not content and kind == (PARAMS if role == AUTHORIZER else STDIN):
                    self.params, self.body, self.role = streams[PARAMS], streams[STDIN], role
                    self.requests += 1
                    return True
