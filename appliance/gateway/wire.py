"""The two wires to an application, in one shape: what goes out before, as and after the body, and what reads
the answer.
"""

from __future__ import annotations

from typing import Protocol

from appliance.gateway import records, scgi


class Decoder(Protocol):
    """Reads one answer after the other; see `records.Decoder`."""

    stdout: list[bytes]
    stderr: list[bytes]
    notes: list[str]
    ended: bool
    protocol_status: int

    def feed(self, data: bytes) -> None:
        """Take octets. Raises ProtocolError."""

    def eof(self) -> None:
        """The application closed the connection. Raises ProtocolError if that is no end of an answer."""

    def reset(self) -> None:
        """Be ready for the next answer on the same connection."""


class Wire(Protocol):
    """FastCGI or SCGI."""

    def head(self, parameters: bytes, keep: bool, role: int) -> bytes:
        """Everything that comes before the body. Raises RequestRefused."""

    def body(self, data: bytes) -> bytes:
        """A piece of the body as it goes out."""

    end: bytes  # what ends the body of a request to a responder

    def decoder(self) -> Decoder:
        """A new decoder."""


class FastCgi:
    """FastCGI 1.0, one request at a time."""

    end = records.STDIN_END

    def head(self, parameters: bytes, keep: bool, role: int) -> bytes:
        return records.request_head(parameters, keep, role)

    def body(self, data: bytes) -> bytes:
        return b"".join(records.stdin_records(data))

    def decoder(self) -> Decoder:
        return records.Decoder()


class Scgi:
    """SCGI: a connection per request; its end is the answer's."""

    end = b""

    def head(self, parameters: bytes, keep: bool, role: int) -> bytes:
        return scgi.request_head(parameters)

    def body(self, data: bytes) -> bytes:
        return data

    def decoder(self) -> Decoder:
        return scgi.Decoder()


WIRES: dict[str, Wire] = {"fastcgi": FastCgi(), "scgi": Scgi()}
