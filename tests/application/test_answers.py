"""What becomes of an application's answer (PEP 3333), over FastCGI and over SCGI."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.application import front
from tests.application.front import Process, Reply, parameters, record, request, scgi
from tests.http_client import connect
from tests.waiting import until


@pytest.fixture(scope="module")
def fcgi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with front.wsgi(tmp_path_factory.mktemp("answers")) as running:
        yield running


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with front.wsgi(tmp_path_factory.mktemp("answers"), "scgi") as running:
        yield running


def ask(process: Process, path: str, **more: str) -> tuple[int, dict[str, str], bytes]:
    """The same question in the protocol of the process."""
    assert isinstance(process.address, str)
    if "scgi" in process.address:
        return scgi(process.address, parameters(path, **more))
    with process.connect() as connection:
        reply = connection.send(request(parameters(path, **more))).reply()
    return reply.status, reply.headers, reply.body


@pytest.fixture(params=["fcgi", "other"])
def process(request: pytest.FixtureRequest) -> Process:
    running: Process = request.getfixturevalue(request.param)
    return running


@pytest.mark.parametrize("path", ["/broken", "/leaves"])
def test_an_exception_is_500_and_its_traceback_is_only_in_the_log(process: Process, path: str) -> None:
    status, headers, body = ask(process, path)
    assert status == 500
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert not any(word in body for word in (b"Traceback", b"Error:", b"the reason <b>", b"no more"))
    assert ask(process, "/echo")[0] == 200, "the process lives on"


def test_the_traceback_goes_to_the_front(fcgi: Process, other: Process) -> None:
    reply = fcgi.ask("/broken")
    assert "Traceback" in reply.stderr and "RuntimeError: the reason <b>why</b>" in reply.stderr
    ask(other, "/broken")
    until(lambda: "RuntimeError: the reason <b>why</b>" in other.log())


@pytest.mark.parametrize("path", ["/splits", "/silent"])
def test_an_answer_that_breaks_the_rules_is_500(process: Process, path: str) -> None:
    status, headers, _ = ask(process, path)
    assert status == 500
    assert "set-cookie" not in headers


def test_a_cut_answer_does_not_look_complete_over_fastcgi(fcgi: Process) -> None:
    reply = fcgi.ask("/late", keep=True)
    assert (reply.status, reply.body, reply.ended) == (200, b"the beginning", None)
    assert "RuntimeError: too late" in reply.stderr and "GET /late" in reply.stderr


def test_without_a_length_scgi_holds_the_answer_back_until_it_is_complete(other: Process) -> None:
    assert ask(other, "/late")[0] == 500
    status, headers, body = ask(other, "/writes")
    assert (status, headers["content-length"], body) == (200, "16", b"written returned")


def test_an_answer_that_is_too_short_does_not_look_complete(fcgi: Process, other: Process) -> None:
    reply = fcgi.ask("/short")
    assert (reply.headers["content-length"], reply.body, reply.ended) == ("10", b"12345678", None)
    assert "8 octets, its Content-Length says 10" in reply.stderr
    _, headers, body = ask(other, "/short")
    assert headers["content-length"] == "10" and len(body) < 10


def test_what_is_over_the_length_is_cut(fcgi: Process, other: Process) -> None:
    reply = fcgi.ask("/long")
    assert (reply.body, reply.ended) == (b"12345"[:3] + b"45", 0)
    assert "2 octets longer" in reply.stderr
    assert ask(other, "/long")[2] == b"12345"


def test_an_error_page_replaces_an_answer_that_has_not_left(process: Process) -> None:
    status, headers, body = ask(process, "/recovers")
    assert (status, body, headers["content-length"]) == (503, b"sorry", "5")


def test_write_and_iteration_in_order(fcgi: Process) -> None:
    assert fcgi.ask("/writes").body == b"written returned"


def test_head_and_304_have_no_body(process: Process) -> None:
    status, headers, body = ask(process, "/echo", REQUEST_METHOD="HEAD")
    assert (status, body) == (200, b"")
    assert headers["content-type"] == "application/json"
    assert ask(process, "/empty") == (304, {"etag": '"x"'}, b"")
    assert ask(process, "/short", REQUEST_METHOD="HEAD")[1]["content-length"] == "10"


def test_headers_that_are_the_fronts_are_left_out(process: Process) -> None:
    status, headers, _ = ask(process, "/hops")
    assert status == 200
    assert set(headers) == {"content-type", "content-length"}


def test_wsgi_errors(fcgi: Process, other: Process) -> None:
    assert fcgi.ask("/complains").stderr == "something is odd: \N{SNOWMAN}\n"
    ask(other, "/complains")
    until(lambda: "something is odd: \N{SNOWMAN}" in other.log())


def test_an_answer_larger_than_a_record(process: Process, tmp_path: Path) -> None:
    content = os.urandom(300_000)
    (tmp_path / "large").write_bytes(content)
    status, headers, body = ask(process, f"/file?{tmp_path / 'large'}")
    assert (status, headers["content-length"], body) == (200, "300000", content)


class TestSendfile:
    """`wsgi.file_wrapper`."""

    @pytest.fixture(scope="class")
    @staticmethod
    def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
        place = tmp_path_factory.mktemp("files")
        (place / "a b").mkdir()
        for name in ("plain", "a b/100%", "a b/ärger"):
            (place / name).write_bytes(b"0123456789")
        return place

    @pytest.fixture(scope="class")
    @staticmethod
    def sending(tmp_path_factory: pytest.TempPathFactory, files: Path) -> Iterator[Process]:
        allowed = f"/nonexistent:{files}/"
        with front.wsgi(tmp_path_factory.mktemp("sending"), FCGIBOX_XSENDFILE=allowed) as running:
            yield running

    def ask(self, process: Process, path: str, **more: str) -> Reply:
        with process.connect() as connection:
            reply = connection.send(request(parameters(path, **more))).reply()
        assert (reply.status, reply.ended) == (200, 0)
        return reply

    def test_a_file_below_the_directory_is_named(self, sending: Process, files: Path) -> None:
        reply = self.ask(sending, f"/file?{files}/plain")
        assert reply.headers["x-sendfile"] == str(files / "plain")
        assert (reply.body, "content-length" in reply.headers) == (b"", False)

    def test_the_name_is_encoded_as_lighttpd_decodes_it(self, sending: Process, files: Path) -> None:
        assert self.ask(sending, f"/file?{files}/a b/100%").headers["x-sendfile"] == f"{files}/a b/100%25"
        assert self.ask(sending, f"/file?{files}/a b/../plain").headers["x-sendfile"] == f"{files}/plain"

    def test_a_link_that_leads_out_is_streamed(self, sending: Process, files: Path, tmp_path: Path) -> None:
        (tmp_path / "secret").write_bytes(b"elsewhere")
        (files / "link").symlink_to(tmp_path / "secret")
        reply = self.ask(sending, f"/file?{files}/link")
        assert (reply.body, "x-sendfile" in reply.headers) == (b"elsewhere", False)

    @pytest.mark.parametrize(("kind", "body"), [("part", b"456789"), ("pipe", b"0123456789")])
    def test_what_is_not_a_whole_file_is_streamed(
        self, sending: Process, files: Path, kind: str, body: bytes
    ) -> None:
        reply = self.ask(sending, f"/file/{kind}?{files}/plain")
        assert (reply.body, "x-sendfile" in reply.headers) == (body, False)

    def test_head_names_no_file(self, sending: Process, files: Path) -> None:
        headers = self.ask(sending, f"/file?{files}/plain", REQUEST_METHOD="HEAD").headers
        assert (headers["content-length"], "x-sendfile" in headers) == ("10", False)

    def test_without_the_variable_it_is_streamed(self, fcgi: Process, files: Path) -> None:
        assert self.ask(fcgi, f"/file?{files}/plain").body == b"0123456789"


def test_an_answer_that_is_not_read_does_not_lose_the_process(fcgi: Process, tmp_path: Path) -> None:
    with fcgi.connect() as connection:
        connection.send(request(parameters(f"/drip?{tmp_path / 'closed'}")))
        assert connection.record() is not None
    until((tmp_path / "closed").exists)
    assert fcgi.ask("/echo").status == 200


class TestSCGI:
    """The request side of SCGI."""

    def test_a_request_in_single_octets(self, other: Process) -> None:
        given = parameters("/echo", "POST", CONTENT_LENGTH="3", SCGI="1")
        head = b"".join(f"{name}\0{value}\0".encode() for name, value in given.items())
        with connect(str(other.address)) as sock:
            for octet in b"%d:%b,abc" % (len(head), head):
                sock.sendall(bytes((octet,)))
            assert b'"length": 3' in sock.recv(65536)

    @pytest.mark.parametrize(
        ("octets", "remark"),
        [
            (b"GET / HTTP/1.1\r\n", "does the web server speak SCGI"),
            (b"999999999:", "over the limit"),
            (b"4:a\0b\0;", "does not end where it should"),
            (b"4:a\0b\0,", "needs SCGI=1"),
            (b"2:a\0,", "without a value"),
        ],
    )
    def test_what_is_not_scgi_ends_the_connection(self, other: Process, octets: bytes, remark: str) -> None:
        with connect(str(other.address)) as sock:
            sock.sendall(octets)
            assert sock.recv(1) == b""
        until(lambda: remark in other.log(), details=other.log)

    def test_an_upload(self, other: Process) -> None:
        _, _, body = scgi(str(other.address), parameters("/echo", "POST"), b"y" * 300_000)
        assert json.loads(body)["length"] == 300_000

    def test_a_fastcgi_front_is_told(self, other: Process) -> None:
        with connect(str(other.address)) as sock:
            sock.sendall(record(front.BEGIN, bytes(8)))
            assert sock.recv(1) == b""
