"""`Backend`: a FastCGI application at an address, for many requests at a time, that can be ended and started
again.

It answers with its name. The query says what else: `sleep=S` first, `drop` closes without an answer. What it
was asked is in `paths`.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from typing import BinaryIO, Self
from urllib.parse import parse_qs

from appliance.gateway.records import (
    BEGIN_REQUEST,
    END_REQUEST,
    GET_VALUES,
    GET_VALUES_RESULT,
    PARAMS,
    STDIN,
    STDOUT,
    decode_pairs,
    pair,
    record,
)
from tests.waiting import until

KEEP = 1


class Backend:
    """`address` is (host, port) or the path of a socket; port 0: any, see `port` then."""

    def __init__(
        self, name: str, address: tuple[str, int] | str = ("127.0.0.1", 0), backlog: int = 64
    ) -> None:
        self.name = name
        self.address = address
        self.paths: list[str] = []
        self.status = 200  # of its answers
        self.connections = 0  # accepted so far
        self.values = 0  # FCGI_GET_VALUES answered so far
        self._backlog = backlog
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self.start()

    @property
    def port(self) -> int:
        assert not isinstance(self.address, str)
        return self.address[1]

    @property
    def entry(self) -> str:
        """The host entry of a configuration, without its end."""
        if isinstance(self.address, str):
            return f'( "socket" => "{self.address}", "check-local" => "disable"'
        host, port = self.address
        return f'( "host" => "{host}", "port" => {port}, "check-local" => "disable"'

    @property
    def open_connections(self) -> int:
        with self._lock:
            return len(self._open)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, where it did before."""
        unix = isinstance(self.address, str)
        listener = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        if not unix:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # The port of one that ended may still be held by its last connections.
        until(lambda: _bound(listener, self.address), 10, f"{self.address} cannot be bound")
        listener.listen(self._backlog)
        if not unix:
            self.address = listener.getsockname()[:2]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def stop(self) -> None:
        """Listen no more and cut every connection."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
                self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection.makefile("rb") as stream:
                while self._request(connection, stream):
                    pass
        except OSError:
            pass
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _request(self, connection: socket.socket, stream: BinaryIO) -> bool:
        """One request; whether another may follow."""
        params, keep = b"", False
        while True:
            head = stream.read(8)
            if len(head) < 8:
                return False
            kind, length, padding = struct.unpack(">xBxxHBx", head)
            content = stream.read(length + padding)[:length]
            if kind == GET_VALUES:
                self.values += 1
                answer = b"".join(pair(name, b"1") for name, _ in decode_pairs(content))
                connection.sendall(record(GET_VALUES_RESULT, answer, 0))
                return True
            if kind == BEGIN_REQUEST:
                keep = bool(content[2] & KEEP)
            elif kind == PARAMS:
                params += content
            elif kind == STDIN and not content:
                break
        return self._answer(connection, dict(decode_pairs(params))) and keep

    def _answer(self, connection: socket.socket, params: dict[bytes, bytes]) -> bool:
        query = parse_qs(params[b"QUERY_STRING"].decode(), keep_blank_values=True)
        self.paths.append(params[b"REQUEST_URI"].decode())
        if "sleep" in query:
            time.sleep(float(query["sleep"][0]))
        if "drop" in query:
            return False
        text = f"Status: {self.status}\r\nContent-Type: text/plain\r\n\r\n{self.name}"
        connection.sendall(
            record(STDOUT, text.encode()) + record(STDOUT, b"") + record(END_REQUEST, bytes(8))
        )
        return True


def _bound(listener: socket.socket, address: tuple[str, int] | str) -> bool:
    try:
        listener.bind(address)
    except OSError:
        return False
    return True
