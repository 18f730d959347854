"""Spooled bodies: memory, then a file without a name; a full disk loses nothing that was kept."""

import os
import resource
from pathlib import Path

import pytest

from appliance.http.spool import Spool


def test_memory_then_file(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path), memory_limit=10)
    spool.write(b"0123456789")
    assert not list(tmp_path.iterdir())
    spool.write(b"abc")
    assert not list(tmp_path.iterdir()), "the file has no name"
    assert spool.size == 13
    assert spool.read(0, 100) == b"0123456789abc"
    assert spool.read(8, 3) == b"89a"
    spool.close()
    spool.close()
    assert spool.read(0, 5) == b""


def test_a_directory_that_is_missing(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path / "gone"), memory_limit=4)
    spool.write(b"0123")
    with pytest.raises(FileNotFoundError):
        spool.write(b"4")
    assert spool.read(0, 9) == b"0123"


def test_no_room_on_the_disk(tmp_path: Path) -> None:
    pid = os.fork()
    if not pid:  # the limit is the process's, so it gets one of its own
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        spool = Spool(str(tmp_path), memory_limit=10)
        spool.write(b"x" * 60)
        try:
            spool.write(b"y" * 60)
        except OSError:
            os._exit(0 if (spool.size, spool.read(0, 200)) == (60, b"x" * 60) else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
