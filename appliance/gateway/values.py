"""FCGI_GET_VALUES as a wire of its own: a question that an application answers without running anything.

FastCGI 1.0 section 4.1. An application that does not know the record answers FCGI_UNKNOWN_TYPE (section 4.2):
it is there as well.
"""

from __future__ import annotations

from appliance.gateway import records
from appliance.gateway.wire import FastCgi


class _Decoder(records.Decoder):
    """The answer is one management record, whatever it says."""

    def _complete(self, tag: int, content: bytes) -> None:
        super()._complete(tag, content)
        if tag >> 16 & 255 in (records.GET_VALUES_RESULT, records.UNKNOWN_TYPE):
            self.ended = True


class GetValues(FastCgi):
    """Asks for the application's limits; there are no parameters and no body."""

    end = b""

    def head(self, parameters: bytes, keep: bool, role: int) -> bytes:
        return records.get_values(b"FCGI_MAX_CONNS", b"FCGI_MAX_REQS", b"FCGI_MPXS_CONNS")

    def decoder(self) -> records.Decoder:
        return _Decoder()
