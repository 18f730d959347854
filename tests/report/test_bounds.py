"""What the logs hold in memory while nobody reads them."""

from __future__ import annotations

import os
import re

from appliance.http.request import Endpoint, Request
from appliance.report import access_log, writer
from appliance.report.access_log import AccessLog
from appliance.report.writer import Writer


def everything(fd: int) -> bytes:
    """What comes out of a pipe until its end."""
    pieces = []
    while piece := os.read(fd, 1 << 20):
        pieces.append(piece)
    return b"".join(pieces)


def test_the_queue_is_bounded_in_octets() -> None:
    out, into = os.pipe()
    log = Writer(into)
    line = b"x" * 99_999 + b"\n"
    for _ in range(200):  # 20 MB into a pipe that nobody reads
        log.put(line)
    came, written, dropped = b"", 0, 0
    while written + dropped < 200:
        came += os.read(out, 1 << 20)
        written = came.count(b"x\n")
        dropped = sum(map(int, re.findall(rb"\((\d+) log lines were dropped", came)))
    assert 0 < written <= writer.OCTETS // len(line)
    log.stop(5)
    os.close(into)
    os.close(out)


def test_long_fields_are_cut() -> None:
    out, into = os.pipe()
    log = Writer(into)
    headers = [(b"Referer", b"r" * 30_000), (b"User-Agent", b"a" * 30_000)]
    request = Request(
        "GET", b"/" + b"t" * 30_000, "HTTP/1.1", headers, "/", "", "h", "h",
        Endpoint("http", "s", "", 0, "", 80), 0, keep_alive=True,
    )  # fmt: skip
    AccessLog({"log": log}).write("log", request, {}, 200, 5)
    log.stop(5)
    os.close(into)
    line = everything(out)
    os.close(out)
    assert line.endswith(b'..."\n')
    assert len(line) < 4 * access_log.LONGEST
