"""No room in server.upload-dirs: uploads are refused with a reason, answers still reach the client whole."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.box import Box
from tests.faults.scripted import nothing_lost, serve_scripted
from tests.waiting import until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")


@pytest.fixture
def disk(place: Path) -> Iterator[Path]:
    """A file system of 512 KiB."""
    directory = place / "disk"
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k,mode=1777", "tmpfs", str(directory)],
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"this machine mounts nothing: {mounted.stderr.strip()}")
    yield directory
    subprocess.run(["umount", "--lazy", str(directory)], check=True)


def test_a_request_body_that_does_not_fit(box: Box, place: Path, disk: Path) -> None:
    serve_scripted(box, place, more=f'server.upload-dirs = ( "{disk}" )')
    with nothing_lost(box):
        for headers, body in (({}, b"x" * (2 << 20)), ({"Transfer-Encoding": "chunked"}, _chunked(2 << 20))):
            with box.wire(20) as wire:
                answer = wire.request("POST", f"/app?mark={place}/ran", headers, body).answer()
            assert answer.status == 507
        line = box.wait_log("a request body could not be kept")
        assert "No space left on device; make room or set server.upload-dirs" in line
        assert not (place / "ran").exists()
        assert box.fetch("/app?hello", method="POST", body=b"x" * 300_000).status == 200, "this one fits"


def _chunked(size: int) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size)


def test_an_answer_that_does_not_fit(box: Box, place: Path, disk: Path) -> None:
    """The client is slow and the disk is full: the application waits, and every octet arrives."""
    size = 24 << 20
    serve_scripted(box, place, more=f'server.upload-dirs = ( "{disk}" )')
    with nothing_lost(box):
        with box.wire(20) as wire:
            wire.request("GET", f"/app?stream={size}")
            until(lambda: _used(disk) > 256 << 10, 20, "nothing is spooled", box.log)
            answer = wire.answer()
        assert answer.status == 200
        assert answer.body == b"x" * size
        assert _used(disk) == 0


def _used(disk: Path) -> int:
    found = os.statvfs(disk)
    return (found.f_blocks - found.f_bfree) * found.f_frsize
