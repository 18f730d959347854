"""SCGI: the same CGI parameters in a netstring, one connection per request, a plain CGI answer until it ends.

The protocol has no end mark: only a Content-Length in the answer can tell a complete answer from a truncated
one. Specification: https://python.ca/scgi/protocol.txt.
"""

from __future__ import annotations

from appliance.gateway.errors import RequestRefused
from appliance.gateway.records import decode_pairs


def request_head(params: bytes) -> bytes:
    """The netstring of a request; the body follows as it is. `params` is what `Parameters.encode` made.

    CONTENT_LENGTH comes first there, as SCGI demands. Raises RequestRefused for a NUL, which SCGI cannot
    carry.
    """
    parts = []
    for pair in decode_pairs(params):
        for text in pair:
            if b"\0" in text:
                raise RequestRefused(
                    400, f"the parameter {pair[0]!r} contains a NUL, which SCGI cannot carry"
                )
            parts.append(text)
    parts += (b"SCGI", b"1", b"")
    headers = b"\0".join(parts)
    return b"%d:%b," % (len(headers), headers)


class Decoder:
    """The counterpart of `records.Decoder`: everything is output until the connection ends."""

    __slots__ = ("app_status", "ended", "notes", "protocol_status", "stderr", "stdout")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Be ready for another connection."""
        self.stdout: list[bytes] = []
        self.stderr: list[bytes] = []  # always empty: SCGI has no error stream
        self.notes: list[str] = []
        self.ended = False
        self.app_status = 0
        self.protocol_status = 0

    def feed(self, data: bytes) -> None:
        """Take what was read."""
        if data:
            self.stdout.append(data)

    def eof(self) -> None:
        """The connection has ended, and the answer with it."""
        self.ended = True
