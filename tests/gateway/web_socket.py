"""`WebSocketApplication`: speaks WebSocket (RFC 6455) through FastCGI or SCGI, by a real library's protocol.

It echoes messages; some are orders: "close" closes properly, "end" ends the request without a word, "die"
drops the connection, "flood N" sends N octets in messages of 64 KiB, "deaf" stops reading.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from pathlib import Path

from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from appliance.gateway.records import BEGIN_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, decode_pairs, record

END = record(END_REQUEST, bytes(8))


class WebSocketApplication:
    """Listens on a unix socket; a thread for each connection."""

    def __init__(self, path: Path, protocol: str) -> None:
        self.scgi = protocol == "scgi"
        self.variables: dict[str, str] = {}  # of the last request
        self.ends: list[str] = []  # how each connection ended
        self.refuse = False  # answer every request with a page
        self.listening = threading.Event()  # cleared by "deaf": it reads no more until this is set
        self.listening.set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(16)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.listening.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(30)
            talk = _Talk(connection, self)
            try:
                end = talk.run()
            except TimeoutError:
                end = "silence"
            except OSError as error:
                end = type(error).__name__
        self.ends.append(end)


class _Talk:
    """One connection."""

    def __init__(self, connection: socket.socket, application: WebSocketApplication) -> None:
        self._connection = connection
        self._stream = connection.makefile("rb")
        self._application = application
        self._scgi = application.scgi

    def run(self) -> str:
        variables = self._head()
        self._application.variables = variables
        if self._application.refuse or "HTTP_UPGRADE" not in variables:
            status = (
                "" if "switch" not in variables["REQUEST_URI"] else "Status: 101\r\nUpgrade: websocket\r\n"
            )
            self._send(f"{status}Content-Type: text/plain\r\n\r\nno socket here".encode())
            self._end()
            return "page"
        protocol = ServerProtocol(max_size=None)
        fields = [
            f"{name[5:].replace('_', '-')}: {value}\r\n"
            for name, value in variables.items()
            if name.startswith("HTTP_")
        ]
        protocol.receive_data(f"GET / HTTP/1.1\r\n{''.join(fields)}\r\n".encode())
        (request,) = protocol.events_received()
        assert isinstance(request, Request)
        protocol.send_response(protocol.accept(request))
        answer = b"".join(protocol.data_to_send())
        self._send(answer.replace(b"HTTP/1.1 101", b"Status: 101", 1))
        while True:
            self._application.listening.wait()
            data = self._receive()
            if not data:
                return "end of input"
            protocol.receive_data(data)
            for event in protocol.events_received():
                order = self._message(protocol, event.opcode, bytes(event.data))  # type: ignore[union-attr]
                for piece in protocol.data_to_send():
                    if piece:
                        self._send(piece)
                if order:
                    return order
            if protocol.close_expected():
                self._end()
                return "closed"

    def _message(self, protocol: ServerProtocol, opcode: Opcode, data: bytes) -> str:
        """Answer one message; what ends the talk, or ""."""
        if opcode is Opcode.BINARY:
            protocol.send_binary(data)
        elif opcode is Opcode.TEXT:
            if data == b"close":
                protocol.send_close(1000, "as ordered")
            elif data == b"end":
                self._end()
                return "end"
            elif data == b"die":
                return "die"
            elif data == b"deaf":
                self._application.listening.clear()
            elif data.startswith(b"flood "):
                left = int(data[6:])
                while left > 0:
                    protocol.send_binary(b"x" * min(left, 65536))
                    for piece in protocol.data_to_send():
                        self._send(piece)
                    left -= 65536
            else:
                protocol.send_text(data)
        return ""

    # The wires

    def _head(self) -> dict[str, str]:
        if self._scgi:
            size = b""
            while not size.endswith(b":"):
                size += self._stream.read(1)
            words = self._stream.read(int(size[:-1]) + 1).split(b"\0")
            return {
                name.decode(): value.decode() for name, value in zip(words[::2], words[1::2], strict=False)
            }
        params = b""
        while True:
            kind, content = self._record()
            if kind == BEGIN_REQUEST:
                continue
            assert kind == PARAMS
            if not content:
                return {name.decode(): value.decode() for name, value in decode_pairs(params)}
            params += content

    def _record(self) -> tuple[int, bytes]:
        head = self._stream.read(8)
        if len(head) < 8:
            return STDIN, b""
        kind, length, padding = struct.unpack(">xBxxHBx", head)
        return kind, self._stream.read(length + padding)[:length]

    def _receive(self) -> bytes:
        return self._connection.recv(65536) if self._scgi else self._record()[1]

    def _send(self, data: bytes) -> None:
        if self._scgi:
            self._connection.sendall(data)
            return
        for start in range(0, len(data), 60000):
            self._connection.sendall(record(STDOUT, data[start : start + 60000]))

    def _end(self) -> None:
        with contextlib.suppress(OSError):
            if not self._scgi:
                self._connection.sendall(END)
            self._connection.shutdown(socket.SHUT_WR)
