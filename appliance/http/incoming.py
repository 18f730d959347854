"""The body of one request while it arrives: decoded, bounded, and kept in a spool if anybody wants it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from appliance.http.body import BadBody, ChunkedBody, LengthBody
from appliance.http.spool import Spool


class TooLarge(Exception):
    """The body is larger than it may be (413)."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the request body is larger than {limit} octets (server.max-request-size)")


class Incoming:
    """See the module's text. Nothing is kept before `keep` is called."""

    __slots__ = ("_decoder", "_done", "_limit", "_spool")

    def __init__(self, length: int | None) -> None:
        """`length` in octets; None: chunked."""
        self._decoder: LengthBody | ChunkedBody = ChunkedBody() if length is None else LengthBody(length)
        self._spool: Spool | None = None
        self._limit = 0
        self._done: Callable[[Spool], None] | None = None

    @property
    def complete(self) -> bool:
        """All of it has arrived."""
        return self._decoder.complete

    def keep(self, spool: Spool, limit: int, done: Callable[[Spool], None]) -> None:
        """Somebody wants it: at most `limit` octets (0: any) go to `spool`, which `done` gets in the end."""
        self._spool = spool
        self._limit = limit
        self._done = done

    def feed(self, data: bytes) -> bytes:
        """Take octets; returns those after the end. Raises BadBody, TooLarge, and OSError when the spool is
        full.
        """
        pieces, rest = self._decoder.feed(data)
        spool = self._spool
        if spool is not None and pieces:
            # One write, however many chunks there are: a chunk of one octet must not cost a system call.
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            if self._limit and spool.size + len(data) > self._limit:
                raise TooLarge(self._limit)
            spool.write(data)
        return rest

    def deliver(self) -> None:
        """Hand the complete body over; the spool belongs to whoever asked for it from now on."""
        spool, done = self._spool, self._done
        self._spool = self._done = None
        if spool is not None and done is not None:
            done(spool)

    def drop(self, data: bytes) -> bytes:
        """Nobody wants it any more: forget what was kept, take what is in `data`; returns what comes after
        the end.
        """
        if self._spool is not None:
            self._spool.close()
        self._spool = self._done = None
        if data and not self._decoder.complete:
            with contextlib.suppress(BadBody):
                return self._decoder.feed(data)[1]
        return data
