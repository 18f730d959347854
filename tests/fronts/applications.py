"""`fcgibox app` as tests start it: on a socket of its own, or several processes on one listening socket."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.application.front import Process
from tests.box import ROOT, clean_environment, program


@contextlib.contextmanager
def reached(log: Path, path: Path, *words: str | Path) -> Iterator[Process]:
    """`fcgibox app WORDS… --socket PATH`; a web server connects to it."""
    process = Process(
        [*program(), "app", *map(str, words), "--socket", str(path)], str(path), log, HOME=str(log.parent)
    )
    try:
        yield process
    finally:
        process.end()


@contextlib.contextmanager
def shared(log: Path, path: Path, count: int, *words: str | Path) -> Iterator[list[int]]:
    """`count` processes `fcgibox app WORDS…` on one socket, on descriptor 0, as spawn-fcgi -F starts them.

    Their numbers.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener, log.open("ab") as errors:
        listener.bind(str(path))
        os.chmod(path, 0o666)
        listener.listen(128)
        processes = [
            subprocess.Popen(
                [*program(), "app", *map(str, words)],
                stdin=listener.fileno(),
                stdout=errors,
                stderr=errors,
                cwd=ROOT,
                env={**clean_environment(), "HOME": str(log.parent)},
            )
            for _ in range(count)
        ]
    try:
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
