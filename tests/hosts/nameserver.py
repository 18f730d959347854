"""`NameServer`: a DNS server for A records (RFC 1035), and a box that asks only this one.

The box runs in a mount namespace of its own, where /etc/resolv.conf names our server: the resolver under test
is the real one of the C library.
"""

from __future__ import annotations

import itertools
import socket
import struct
import threading
from pathlib import Path

from tests.box import Box

_numbers = itertools.count(1)
_A, _AAAA = 1, 28
_NO_ERROR, _SERVER_FAILURE, _NO_SUCH_NAME = 0, 2, 3


class NameServer:
    """Answers with `names`; `broken`: that it cannot; `silent`: nothing."""

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {}
        self.broken = False
        self.silent = False
        self.asked = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.address = self._bind()
        threading.Thread(target=self._serve, daemon=True).start()

    def _bind(self) -> str:
        """The port is always 53, so the address is ours alone."""
        while True:
            address = f"127.53.{(id(self) >> 8) % 250 + 1}.{next(_numbers) % 250 + 1}"
            try:
                self._socket.bind((address, 53))
            except OSError:
                continue
            return address

    def close(self) -> None:
        self._socket.close()

    def steer(self, box: Box, place: Path) -> None:
        """From its next start on the box asks us."""
        resolver, hosts = place / "resolv.conf", place / "hosts"
        resolver.write_text(f"nameserver {self.address}\noptions timeout:1 attempts:1\n")
        hosts.write_text("127.0.0.1 localhost\n")
        script = f'mount --bind {resolver} /etc/resolv.conf && mount --bind {hosts} /etc/hosts && exec "$@"'
        box.program = ["unshare", "--mount", "sh", "-c", script, "sh", *box.program]

    def _serve(self) -> None:
        while True:
            try:
                question, client = self._socket.recvfrom(4096)
            except OSError:
                return
            if not self.silent:
                self._socket.sendto(self._answer(question), client)

    def _answer(self, question: bytes) -> bytes:
        labels, position = [], 12
        while size := question[position]:
            labels.append(question[position + 1 : position + 1 + size].decode())
            position += 1 + size
        kind = struct.unpack_from(">H", question, position + 1)[0]
        self.asked += kind == _A
        found = self.names.get(".".join(labels))
        code = _SERVER_FAILURE if self.broken else _NO_SUCH_NAME if found is None else _NO_ERROR
        records = b"".join(
            b"\xc0\x0c" + struct.pack(">HHIH", _A, 1, 0, 4) + socket.inet_aton(address)
            for address in (found or ())
            if kind == _A and not self.broken
        )
        count = len(records) // 16
        head = question[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, count, 0, 0)
        return head + question[12 : position + 5] + records
