"""The FastCGI server, octet by octet, over a real socket."""

from __future__ import annotations

import json
import resource
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.application import front
from tests.application.front import Front, Process, parameters, record, request
from tests.waiting import until


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with front.wsgi(tmp_path_factory.mktemp("fcgi")) as running:
        yield running


def test_a_request_and_its_answer(process: Process) -> None:
    reply = process.ask("/echo?a=b", HTTP_X_NAME="v")
    seen = json.loads(reply.body)["environ"]
    assert (reply.status, reply.ended) == (200, 0)
    assert reply.headers["content-length"] == str(len(reply.body))
    assert seen["PATH_INFO"] == "/echo" and seen["QUERY_STRING"] == "a=b" and seen["HTTP_X_NAME"] == "v"
    assert seen["wsgi.url_scheme"] == "http"


def test_values_are_octets_as_latin_1_and_proxy_is_dropped(process: Process) -> None:
    seen = json.loads(process.ask("/echo/é", HTTP_PROXY="http://evil/", HTTPS="on").body)["environ"]
    assert seen["PATH_INFO"].encode("latin-1").decode() == "/echo/é"
    assert "HTTP_PROXY" not in seen
    assert seen["wsgi.url_scheme"] == "https"


def test_a_request_octet_by_octet_with_padding(process: Process) -> None:
    octets = (
        front.begin()
        + record(front.PARAMS, front.pairs(parameters("/echo", CONTENT_LENGTH="5"))[:50], padding=7)
        + record(front.PARAMS, front.pairs(parameters("/echo", CONTENT_LENGTH="5"))[50:], padding=255)
        + record(front.PARAMS, padding=8)
        + record(front.STDIN, b"abcde", padding=3)
        + record(front.STDIN, padding=1)
    )
    with process.connect() as connection:
        for position in range(len(octets)):
            connection.send(octets[position : position + 1])
        reply = connection.reply()
    assert json.loads(reply.body)["length"] == 5


def test_a_kept_connection_serves_many_requests(process: Process) -> None:
    with process.connect() as connection:
        replies = [connection.ask("/echo", b"x" * number, keep=True) for number in range(1, 30)]
        assert [json.loads(reply.body)["length"] for reply in replies] == list(range(1, 30))
        assert connection.ask("/echo").ended == 0
        assert connection.closed(), "without FCGI_KEEP_CONN the application closes"


def test_get_values_before_and_between_requests(process: Process) -> None:
    with process.connect() as connection:
        asked = record(front.GET_VALUES, b"\x0e\x00FCGI_MAX_CONNS\x07\x00UNKNOWN\x0f\x00FCGI_MPXS_CONNS", 0)
        for _ in range(2):
            connection.send(asked)
            answer = (front.VALUES, 0, b"\x0e\x01FCGI_MAX_CONNS1\x0f\x01FCGI_MPXS_CONNS0")
            assert connection.record() == answer
            assert connection.ask("/echo", keep=True).status == 200


def test_unknown_management_records_are_named(process: Process) -> None:
    with process.connect() as connection:
        connection.send(record(77, b"what", 0))
        assert connection.record() == (front.UNKNOWN, 0, bytes((77, 0, 0, 0, 0, 0, 0, 0)))
        assert connection.ask("/echo").status == 200


def test_multiplexing_is_refused_and_the_first_request_goes_on(process: Process) -> None:
    first = request(parameters("/echo", "POST"), b"abc", request_id=7)
    with process.connect() as connection:
        connection.send(first[:-8])
        connection.send(request(parameters("/echo"), request_id=9))
        assert connection.record() == (front.END, 9, struct.pack(">IB3x", 0, 1))
        connection.send(first[-8:])
        assert json.loads(connection.reply(7).body)["length"] == 3


def test_other_roles_are_refused(process: Process) -> None:
    with process.connect() as connection:
        connection.send(front.begin(role=2))
        assert connection.record() == (front.END, 1, struct.pack(">IB3x", 0, 3))
        assert connection.closed()
    with process.connect() as connection:
        connection.send(front.begin(role=3, keep=True))
        assert connection.record() == (front.END, 1, struct.pack(">IB3x", 0, 3))
        assert connection.ask("/echo").status == 200


def test_records_of_requests_that_are_not_active_are_ignored(process: Process) -> None:
    octets = request(parameters("/echo"), request_id=3)
    with process.connect() as connection:
        connection.send(record(front.STDIN, b"stray", 5) + record(front.ABORT, b"", 6))
        connection.send(octets[:-8] + record(front.STDIN, b"stray", 5) + octets[-8:])
        assert json.loads(connection.reply(3).body)["length"] == 0


def test_an_aborted_upload_is_never_run(process: Process) -> None:
    octets = request(parameters("/echo", "POST"), b"abc", keep=True)
    with process.connect() as connection:
        connection.send(octets[:-8] + record(front.ABORT))
        assert connection.record() == (front.END, 1, bytes(8))
        assert connection.ask("/echo", keep=True).status == 200


def test_an_abort_ends_a_running_answer(process: Process, tmp_path: Path) -> None:
    marker = tmp_path / "closed"
    with process.connect() as connection:
        connection.send(request(parameters(f"/drip?{marker}"), keep=True))
        assert connection.record() is not None
        connection.send(record(front.ABORT))
        while (found := connection.record()) is not None and found[0] != front.END:
            pass
        assert found == (front.END, 1, bytes(8))
        assert marker.exists(), "the iterable was closed"
        assert connection.ask("/echo").status == 200


def test_a_front_that_leaves_ends_the_answer(process: Process, tmp_path: Path) -> None:
    marker = tmp_path / "closed"
    with process.connect() as connection:
        connection.send(request(parameters(f"/drip?{marker}")))
        assert connection.record() is not None
    until(marker.exists)
    assert process.ask("/echo").status == 200


def test_a_front_that_only_stops_sending_gets_its_answer(process: Process) -> None:
    with process.connect() as connection:
        connection.send(request(parameters("/echo"), keep=True)).sock.shutdown(socket.SHUT_WR)
        assert connection.reply().status == 200
        assert connection.closed()


def test_a_front_that_leaves_during_its_upload_is_named_in_the_log(process: Process) -> None:
    with process.connect() as connection:
        connection.send(request(parameters("/echo", "POST"), b"abc")[:-8])
    until(lambda: "in the middle of a request" in process.log())


@pytest.mark.parametrize(
    ("octets", "remark"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "does the web server speak FastCGI"),
        (front.begin() + front.begin(), "begins again"),
        (record(front.BEGIN, b"\0\1"), "8 are needed"),
        (front.begin() + record(front.STDIN, b"x"), "STDIN comes before"),
        (front.begin() + record(front.PARAMS) + record(front.PARAMS, b"x"), "after the end of PARAMS"),
        (record(front.GET_VALUES, b"\x10\x00short", 0), "ends inside"),
    ],
)
def test_what_is_not_fastcgi_ends_the_connection(process: Process, octets: bytes, remark: str) -> None:
    with process.connect() as connection:
        assert connection.send(octets).closed()
    until(lambda: remark in process.log(), details=process.log)
    assert process.ask("/echo").status == 200


def test_a_head_that_is_too_large_is_answered_431(process: Process) -> None:
    with process.connect() as connection:
        connection.send(front.begin(keep=True))
        for _ in range(5):
            connection.send(record(front.PARAMS, b"\x01\x80\x00\xff\xf0" + b"a" * 65521))
        connection.send(record(front.PARAMS) + record(front.STDIN, b"body") + record(front.STDIN))
        reply = connection.reply()
        assert (reply.status, reply.ended) == (431, 0)
        assert "larger than" in reply.stderr
        assert connection.ask("/echo").status == 200


def test_a_malformed_head_is_answered_400(process: Process) -> None:
    with process.connect() as connection:
        connection.send(front.begin() + record(front.PARAMS, b"\x05\x05abc") + record(front.PARAMS))
        connection.send(record(front.STDIN))
        reply = connection.reply()
    assert (reply.status, reply.ended) == (400, 0)


def test_a_body_shorter_than_its_length_is_refused_a_longer_one_cut(process: Process) -> None:
    assert process.ask("/echo", b"abc", CONTENT_LENGTH="4").status == 400
    assert process.ask("/echo", b"abc", CONTENT_LENGTH="-1").status == 400
    assert json.loads(process.ask("/echo", b"abc", CONTENT_LENGTH="2").body)["length"] == 2
    assert json.loads(process.ask("/echo", b"abc", CONTENT_LENGTH="").body)["length"] == 3


def test_an_upload_without_newlines_takes_linear_time(process: Process) -> None:
    body = bytes(16 << 20)
    begin = time.monotonic()
    reply = process.ask("/lines", body)
    assert reply.body == b"1 lines, %d octets" % len(body)
    assert time.monotonic() - begin < 5


def test_a_large_body_is_in_a_file_without_a_name(process: Process, tmp_path: Path) -> None:
    marker = tmp_path / "running"
    with process.connect() as connection:
        connection.send(request(parameters(f"/slow?{marker}", "POST"), bytes(1 << 20)))
        until(marker.exists)
        opened = front.holds_open(process.process.pid, "/tmp")
        assert any(name.endswith("(deleted)") for name in opened), opened
        marker.unlink()
        assert connection.reply().body == b"done"
    until(lambda: not front.holds_open(process.process.pid, "/tmp/#"))


def test_a_full_disk_is_500_and_named(tmp_path: Path) -> None:
    # A limit on the size of files fails as a full disk does: in the middle of a write.
    with front.wsgi(tmp_path, TMPDIR=str(tmp_path)) as process:
        assert process.ask("/echo", bytes(1 << 20)).status == 200
        resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE, (65536, 65536))
        reply = process.ask("/echo", bytes(1 << 20))
        assert (reply.status, reply.ended) == (500, 0)
        assert "cannot be stored" in reply.stderr and "TMPDIR" in reply.stderr
        assert process.ask("/echo").status == 200


def test_a_silent_connection_and_a_kept_one_do_not_pin_the_process(process: Process) -> None:
    with process.connect(), process.connect() as kept:
        assert kept.ask("/echo", keep=True).status == 200
        begin = time.monotonic()
        assert process.ask("/echo").status == 200
        assert kept.ask("/echo", keep=True).status == 200
        assert time.monotonic() - begin < 1


def test_idle_kept_connections_are_given_up_during_a_long_answer(process: Process, tmp_path: Path) -> None:
    marker = tmp_path / "running"
    with process.connect() as busy, process.connect() as kept, process.connect() as waiting:
        for connection in (kept, waiting):
            assert connection.ask("/echo", keep=True).status == 200
        both = request(parameters(f"/slow?{marker}"), keep=True)
        waiting.send(request(parameters("/echo"), keep=True)[:20])
        assert process.ask("/echo").status == 200, "what has begun to come is read by now"
        busy.send(both)
        assert kept.closed(), "another process of this listener may be free"
        waiting.send(request(parameters("/echo"), keep=True)[20:])
        marker.unlink()
        assert busy.reply().body == b"done"
        assert waiting.reply().status == 200
        assert busy.ask("/echo").status == 200


def test_more_kept_connections_than_it_takes(process: Process) -> None:
    kept = [Front(process.address) for _ in range(40)]
    try:
        for connection in kept:
            assert connection.ask("/echo", keep=True).status == 200
        assert kept[0].closed() and kept[-1].ask("/echo", keep=True).status == 200
    finally:
        for connection in kept:
            connection.sock.close()


def test_a_kept_connection_stays_while_nobody_waits(process: Process) -> None:
    with process.connect() as kept:
        for _ in range(3):
            assert kept.ask("/echo", keep=True).status == 200
            kept.sock.settimeout(0.2)
            with pytest.raises(TimeoutError):
                kept.sock.recv(1)
            kept.sock.settimeout(20)


def test_a_slow_upload_does_not_hold_the_process(process: Process) -> None:
    octets = request(parameters("/echo", "POST"), b"abc")
    with process.connect() as uploading:
        uploading.send(octets[:-4])
        assert process.ask("/echo").status == 200
        assert json.loads(uploading.send(octets[-4:]).reply().body)["length"] == 3


def test_more_silent_connections_than_it_takes(process: Process) -> None:
    silent = [Front(process.address) for _ in range(40)]
    try:
        assert process.ask("/echo").status == 200
    finally:
        for connection in silent:
            connection.sock.close()
