"""The codec against php-cgi: a kept connection, parameters and bodies of several records, errors."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.gateway import records
from appliance.gateway.answer import HeadParser
from appliance.gateway.records import Decoder, pair
from tests.waiting import until

SCRIPT = """<?php
error_log("seen by the log");
http_response_code(201);
header("X-Length: " . strlen($_SERVER["HTTP_X_LONG"] ?? ""));
echo md5(file_get_contents("php://input"));
"""


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[socket.socket]:
    """A connection to a php-cgi with one process."""
    (tmp_path / "a.php").write_text(SCRIPT)
    address = str(tmp_path / "php.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(8)
    environment = {"PATH": os.environ["PATH"], "PHP_FCGI_MAX_REQUESTS": "0"}
    process = subprocess.Popen(
        ["php-cgi"],
        stdin=listener.fileno(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    listener.close()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(address)
        yield client
    process.terminate()
    until(lambda: process.poll() is not None, problem="php-cgi did not end")


def ask(connection: socket.socket, decoder: Decoder, params: bytes, body: bytes, keep: bool) -> None:
    """Send a request and read its answer into the decoder."""
    pieces = [records.request_head(params, keep), *records.stdin_records(body), records.STDIN_END]
    connection.sendall(b"".join(pieces))
    while not decoder.ended:
        data = connection.recv(1000)
        if not data:
            decoder.eof()
        decoder.feed(data)


def test_two_requests_on_one_connection(connection: socket.socket, tmp_path: Path) -> None:
    decoder = Decoder()
    # The md5 of nothing and of 200,000 octets; the second request also has parameters of two records.
    cases = (
        (b"", 0, b"d41d8cd98f00b204e9800998ecf8427e"),
        (b"x" * 200_000, 60_000, b"4b98146705d4b0b98b758a78ff6fb73f"),
    )
    for body, length, digest in cases:
        values = {
            b"CONTENT_LENGTH": b"%d" % len(body),
            b"REQUEST_METHOD": b"POST" if body else b"GET",
            b"REDIRECT_STATUS": b"200",
            b"SCRIPT_FILENAME": os.fsencode(tmp_path / "a.php"),
            b"HTTP_X_LONG": b"v" * length,
            b"HTTP_X_OTHER": b"v" * length,
        }
        decoder.reset()
        ask(connection, decoder, b"".join(pair(*item) for item in values.items()), body, keep=True)
        parser = HeadParser()
        head = parser.feed(b"".join(decoder.stdout))
        assert head is not None and head.status == 201
        assert (b"X-Length", b"%d" % length) in head.headers
        assert parser.rest == digest
        assert b"seen by the log" in b"".join(decoder.stderr)
        assert decoder.protocol_status == records.REQUEST_COMPLETE and decoder.idle


def test_limits_of_the_application(connection: socket.socket) -> None:
    connection.sendall(records.get_values(b"FCGI_MPXS_CONNS"))
    decoder = Decoder()
    while not decoder.values:
        decoder.feed(connection.recv(1000))
    assert decoder.values == {b"FCGI_MPXS_CONNS": b"0"}
