"""Small WSGI applications for the server under test.

Run as `python -m tests.application.applications SOCKET PROTOCOL`.
The path of a request says what the application does with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from appliance.application import listening
from appliance.application.lifetime import Stop
from appliance.application.server import Server

Environ = dict[str, Any]
Start = Callable[..., Callable[[bytes], None]]

_TEXT = [("Content-Type", "text/plain")]


def echo(environ: Environ, start: Start) -> Iterable[bytes]:
    """Everything that was asked for, as JSON; `wsgi.input` as its length and hash."""
    body = environ["wsgi.input"].read()
    strings = {name: value for name, value in environ.items() if isinstance(value, str)}
    answer = {
        "environ": strings,
        "length": len(body),
        "hash": hashlib.sha256(body).hexdigest(),
        "pid": os.getpid(),
    }
    start("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]


def lines(environ: Environ, start: Start) -> Iterable[bytes]:
    """Reads the body by lines, goes back, and reads it again."""
    source = environ["wsgi.input"]
    count = sum(1 for _ in source)
    source.seek(0)
    start("200 OK", _TEXT)
    return [b"%d lines, %d octets" % (count, len(source.read()))]


def slow(environ: Environ, start: Start) -> Iterable[bytes]:
    """Touches the file in the query when it has begun, and answers when it is gone."""
    marker = Path(environ["QUERY_STRING"])
    marker.touch()
    while marker.exists():
        time.sleep(0.01)
    start("200 OK", _TEXT)
    return [b"done"]


def drip(environ: Environ, start: Start) -> Iterator[bytes]:
    """Pieces of 64 KiB without an end; touches the file in the query when it is closed."""
    start("200 OK", _TEXT)
    try:
        while True:
            yield b"x" * 65536
    finally:
        Path(environ["QUERY_STRING"]).touch()


def broken(environ: Environ, start: Start) -> Iterable[bytes]:
    """Fails before it has answered."""
    raise RuntimeError("the reason <b>why</b>")


def leaves(environ: Environ, start: Start) -> Iterable[bytes]:
    """Calls sys.exit."""
    sys.exit("no more")


def late(environ: Environ, start: Start) -> Iterator[bytes]:
    """Fails in the middle of its answer."""
    start("200 OK", _TEXT)
    yield b"the beginning"
    raise RuntimeError("too late")


def recovers(environ: Environ, start: Start) -> Iterable[bytes]:
    """Replaces its own answer by an error page (PEP 3333, exc_info)."""
    start("200 OK", _TEXT)
    try:
        raise RuntimeError("noticed")
    except RuntimeError:
        start("503 Service Unavailable", _TEXT, sys.exc_info())
    return [b"sorry"]


def short(environ: Environ, start: Start) -> Iterable[bytes]:
    """Less than its Content-Length."""
    start("200 OK", [*_TEXT, ("Content-Length", "10")])
    return [b"12345", b"678"]


def long(environ: Environ, start: Start) -> Iterable[bytes]:
    """More than its Content-Length."""
    start("200 OK", [*_TEXT, ("Content-Length", "5")])
    return [b"123", b"4567"]


def writes(environ: Environ, start: Start) -> Iterable[bytes]:
    """By the write() callable, and then by iteration."""
    write = start("200 OK", _TEXT)
    write(b"written ")
    return [b"returned"]


def splits(environ: Environ, start: Start) -> Iterable[bytes]:
    """Tries to smuggle a header."""
    start("200 OK", [*_TEXT, ("X-Name", "a\r\nSet-Cookie: b=c")])
    return [b"x"]


def silent(environ: Environ, start: Start) -> Iterable[bytes]:
    """Answers without having called start_response."""
    return [b"x"]


def hops(environ: Environ, start: Start) -> Iterable[bytes]:
    """Headers that are the front's."""
    start("200 OK", [*_TEXT, ("Connection", "close"), ("Transfer-Encoding", "chunked"), ("Status", "500")])
    return [b"x"]


def empty(environ: Environ, start: Start) -> Iterable[bytes]:
    """304 with a body, which it must not have."""
    start("304 Not Modified", [("ETag", '"x"')])
    return [b"not to be sent"]


def complains(environ: Environ, start: Start) -> Iterable[bytes]:
    """Writes to wsgi.errors."""
    environ["wsgi.errors"].write("something is odd: \N{SNOWMAN}\n")
    start("200 OK", _TEXT)
    return [b"x"]


def file(environ: Environ, start: Start) -> Iterable[bytes]:
    """The file in the query; with PATH_INFO /file/part from its fifth octet, /file/pipe through a pipe."""
    path = environ["QUERY_STRING"]
    opened: Any = open(path, "rb")  # noqa: SIM115 -- the file wrapper closes it
    headers = [("Content-Type", "application/octet-stream")]
    if environ["PATH_INFO"] == "/file/part":
        opened.seek(4)
    elif environ["PATH_INFO"] == "/file/pipe":
        reading, writing = os.pipe()
        os.write(writing, opened.read())
        os.close(writing)
        opened = os.fdopen(reading, "rb")
    else:
        headers.append(("Content-Length", str(os.path.getsize(path))))
    start("200 OK", headers)
    wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](opened, 4096)
    return wrapped


APPLICATIONS = {
    application.__name__: application
    for application in (
        *(
            echo,
            lines,
            slow,
            drip,
            broken,
            leaves,
            late,
            recovers,
            short,
            long,
            writes,
            splits,
            silent,
            hops,
            empty,
        ),
        *(complains, file),
    )
}


def by_path(environ: Environ, start: Start) -> Iterable[bytes]:
    """The application that the first segment of the path names."""
    return APPLICATIONS[environ["PATH_INFO"].split("/")[1] or "echo"](environ, start)


def serve(path: str, protocol: str) -> None:
    """Serve `by_path` on a unix socket."""
    stop = Stop(ignore_interrupt=False)
    with listening.on_path(path, "600", None) as listener:
        Server(by_path, listener, protocol, stop).run()


if __name__ == "__main__":
    serve(*sys.argv[1:])
