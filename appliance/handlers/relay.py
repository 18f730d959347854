"""The body of an application's answer on its way to a client that may be slower than the application.

What the client does not take yet is spooled, in memory and then in a temporary file, so that a slow client
never holds an application process. Only past `limit`, or when the disk is full, is the application asked to
wait.
"""

from __future__ import annotations

from typing import Protocol

from appliance.http.response import StreamSink
from appliance.http.spool import Spool

PIECE = 65536  # octets read back from the spool at once


class Source(Protocol):
    """Where the body comes from."""

    def pause(self) -> None:
        """Send no more for now."""

    def resume(self) -> None:
        """Go on."""

    def unwanted(self) -> None:
        """The client has gone: nobody wants the rest."""


class Relay:
    """A `StreamBody` fed by an application's connection."""

    __slots__ = (
        "_broken",
        "_ended",
        "_failed",
        "_limit",
        "_offset",
        "_overflow",
        "_paused",
        "_sink",
        "_source",
        "_spool",
        "_thirsty",
        "length",
    )

    def __init__(self, source: Source, spool: Spool, length: int | None, limit: int) -> None:
        """At most `limit` octets are spooled for the client; `length` is the body's, if the application said
        it.
        """
        self.length = length
        self._source: Source | None = source
        self._spool = spool
        self._limit = limit
        self._offset = 0
        self._overflow = bytearray()  # what the disk had no room for
        self._sink: StreamSink | None = None
        self._thirsty = True  # the sink takes more
        self._paused = False
        self._ended = False
        self._failed = False  # the spool could not be read back
        self._broken = False  # the application did not finish

    def feed(self, data: bytes) -> None:
        """The next piece."""
        if self._overflow:
            self._overflow += data
            return
        if self._sink is not None and self._thirsty and self._offset == self._spool.size:
            self._thirsty = self._sink.write(data)
            return
        try:
            self._spool.write(data)
        except OSError:
            # No room on the disk: memory takes this one piece, and the application waits for the client.
            self._overflow += data
            self._pause()
            return
        if self._spool.size - self._offset >= self._limit:
            self._pause()

    def finish(self) -> None:
        """The application has said everything."""
        self._ended = True
        self._source = None
        self.resume()

    def fail(self) -> None:
        """The application will never say the rest: the client sees a cut after what there is."""
        self._broken = True
        self.finish()

    # StreamBody

    def start(self, sink: StreamSink) -> None:
        """The head is out."""
        self._sink = sink
        self.resume()

    def resume(self) -> None:
        """The client takes more: first what was spooled."""
        sink = self._sink
        if sink is None:
            return
        self._thirsty = True
        while self._thirsty and self._offset < self._spool.size:
            data = self._spool.read(self._offset, PIECE)
            if not data:
                self._failed = True
                break
            self._offset += len(data)
            self._thirsty = sink.write(data)
        if self._thirsty and self._overflow and not self._failed:
            self._thirsty = sink.write(bytes(self._overflow))
            self._overflow.clear()
        if (self._offset < self._spool.size or self._overflow) and not self._failed:
            return
        if self._ended or self._failed:
            self._sink = None
            self._spool.close()
            if self._failed or self._broken:
                sink.fail()
            else:
                sink.finish()
            return
        self._spool.close()  # everything was read: start again with nothing
        self._offset = 0
        if self._paused and self._source is not None:
            self._paused = False
            self._source.resume()

    def cancel(self) -> None:
        """The client has gone."""
        self._sink = None
        self._spool.close()
        self._offset = 0
        source, self._source = self._source, None
        if source is not None:
            source.unwanted()

    def _pause(self) -> None:
        if not self._paused and self._source is not None:
            self._paused = True
            self._source.pause()
