"""fastcgi.debug and scgi.debug: what is logged of a request, for whom, and nothing for others."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.gateway import records
from appliance.gateway.trace import Passing
from tests.box import Box
from tests.options.test_gateways import SCGI, deaf, reach, script, serve
from tests.waiting import until


def said(box: Box, of: str = "") -> list[str]:
    """The lines of this option, without time and process; `of` stands in each."""
    lines = re.findall(r"^\S+ \S+ \[debug\] front: (.*)$", box.log(), re.MULTILINE)
    return [line for line in lines if of in line]


@pytest.mark.holds("fastcgi.debug")
def test_the_load_table_and_who_got_a_request(box: Box, place: Path) -> None:
    serve(
        box,
        place,
        '"slots" => 1',
        processes=2,
        extra='fcgibox.error-log-level = "error"\n$HTTP["host"] == "seen" { fastcgi.debug = 1 }',
    )
    until(lambda: len(box.application_pids()) == 2)
    assert box.get("/app?hello").status == 200
    assert said(box) == [], "nobody asked for it"
    slow = threading.Thread(target=box.get, args=("/app?sleep=1.5", {"Host": "seen"}))
    slow.start()
    (busy,) = until(lambda: said(box, "got proc"))
    busy_pid = int(busy.split("got proc: 1 ")[1].split()[0])
    pid = int(box.get("/app?hello", {"Host": "seen"}).text)
    slow.join()
    until(lambda: len(said(box, "release proc: 0")) == 2)
    assert {busy_pid, pid} == set(box.application_pids())
    (got,) = said(box, f"GET /app?hello: got proc: 1 {pid} ")
    at = said(box).index(got)
    table = [line.split(" ") for line in said(box)[at - 2 : at]]
    # The second request finds one process that works and one that does not, the least loaded first.
    assert [(row[0], row[1], row[2], row[4], row[5]) for row in table] == [("proc:", "", "0", "1", "1")] * 2
    assert [int(row[6]) for row in table] == [0, 1]
    assert {int(row[7]) for row in table} == {busy_pid, pid}
    assert not said(box, "to it")


def test_the_table_of_hosts_elsewhere(box: Box, place: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        reach(box, place, f'"host" => "127.0.0.1", "port" => {port}', "")
        path = box.directory / "box.conf"
        path.write_text(path.read_text() + "fastcgi.debug = 1\n")
        box.reload()
        assert box.get("/app").status == 503
    until(lambda: said(box, f"proc: 127.0.0.1 {port}  0 1 0 0 app"), details=box.log)
    until(lambda: said(box, "connecting: Connection refused"), details=box.log)


def test_a_connection_that_takes_its_time(box: Box, place: Path) -> None:
    with deaf(place / "deaf.sock") as listener:
        listener.listen(0)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(str(place / "deaf.sock"))
            reach(box, place, f'"socket" => "{place}/deaf.sock"', '"read-timeout" => 1')
            path = box.directory / "box.conf"
            path.write_text(path.read_text() + "fastcgi.debug = 1\n")
            box.reload()
            asking = threading.Thread(target=box.get, args=("/app",))
            asking.start()
            until(lambda: said(box, "connect delayed: "), details=box.log)
            assert not said(box, "connect succeeded")
            listener.accept()[0].close()
            until(lambda: said(box, "connect succeeded: "), details=box.log)
            asking.join()


def test_records_without_their_contents(box: Box, place: Path) -> None:
    serve(box, place, '"slots" => 1', extra="fastcgi.debug = 2")
    with box.wire() as wire:
        wire.request("POST", "/app?hello", {"Cookie": "secret=1"}, b"password=2" * 10000)
        assert wire.answer().status == 200
    until(lambda: said(box, "END_REQUEST"))
    kinds = [re.search(r"(to|from) it: ([A-Z_]+)", line) for line in said(box, " it: ")]
    assert [f"{found[1]} {found[2]}" for found in kinds if found] == [
        "to BEGIN_REQUEST",
        "to PARAMS",
        "to PARAMS",
        "to STDIN",
        "to STDIN",
        "to STDIN",
        "from STDOUT",
        "from STDOUT",
        "from END_REQUEST",
    ]
    assert said(box, "BEGIN_REQUEST (1) id 1 length 8 padding 0 role 1 flags 1")
    assert "secret" not in box.log() and "password" not in box.log()


@pytest.mark.holds("scgi.debug")
def test_scgi_has_no_records(box: Box, place: Path) -> None:
    (place / "a.app").touch()
    box.serve(f"""
        server.modules = ( "mod_scgi" )
        server.document-root = "{place}"
        scgi.debug = 2
        scgi.server = ( ".app" => (( "socket" => "{place}/scgi.sock",
            "bin-path" => "{script(place, SCGI)}", "max-procs" => 1 )) )
        """)
    assert box.get("/a.app").status == 200
    until(lambda: said(box, "release proc: 0"))
    assert len(said(box, "got proc: 1")) == 1
    assert re.search(r"to it: \d+ octets", box.log()) and re.search(r"from it: \d+ octets", box.log())


@given(
    st.lists(st.tuples(st.integers(2, 255), st.integers(0, 300)), max_size=6),
    st.lists(st.integers(1, 40), min_size=1, max_size=20),
)
def test_records_in_any_fragmentation(sent: list[tuple[int, int]], sizes: list[int]) -> None:
    data = b"".join(records.record(kind, bytes(length)) for kind, length in sent)
    passing = Passing()
    found = [text for piece in cut(data, sizes) for text in passing.feed(piece)]
    assert [re.findall(r"\((\d+)\)|length (\d+)", text) != [] for text in found] == [True] * len(sent)
    assert [int(text.split("length ")[1].split()[0]) for text in found] == [length for _, length in sent]


def cut(data: bytes, sizes: list[int]) -> Iterable[bytes]:
    """The data in pieces of these sizes, again and again."""
    position = number = 0
    while position < len(data):
        size = sizes[number % len(sizes)]
        yield data[position : position + size]
        position += size
        number += 1
