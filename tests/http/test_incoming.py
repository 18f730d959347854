"""Request bodies on their way into the spool."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.http.incoming import Incoming, TooLarge
from appliance.http.spool import Spool


class Counted(Spool):
    """A spool that counts what it is asked to do."""

    __slots__ = ("writes",)

    def __init__(self, directory: str) -> None:
        super().__init__(directory, memory_limit=0)
        self.writes = 0

    def write(self, data: bytes) -> None:
        self.writes += 1
        super().write(data)


def test_chunks_that_come_together_are_written_together(tmp_path: Path) -> None:
    spool = Counted(str(tmp_path))
    kept: list[Spool] = []
    incoming = Incoming(None)
    incoming.keep(spool, 0, kept.append)
    assert incoming.feed(b"1\r\nx\r\n" * 1000 + b"0\r\n\r\nGET") == b"GET"
    assert incoming.complete
    incoming.deliver()
    assert kept == [spool]
    assert spool.read(0, 2000) == b"x" * 1000
    assert spool.writes == 1
    spool.close()


def test_all_chunks_count_against_the_limit(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path))
    incoming = Incoming(None)
    incoming.keep(spool, 9, lambda spool: None)
    with pytest.raises(TooLarge):
        incoming.feed(b"1\r\nx\r\n" * 10)
    spool.close()
