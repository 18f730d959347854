"""What every program of the tests answers, as a WSGI application; see questions.h."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answer one request."""
    name, _, value = environ.get("QUERY_STRING", "").partition("=")
    start_response("200 OK", [("Content-Type", "text/plain")])
    if name == "env":
        shown = {key: text for key, text in environ.items() if key.isupper() and isinstance(text, str)}
        return ["".join(f"{key}={text}\n" for key, text in sorted(shown.items())).encode("latin-1")]
    if name == "echo":
        return [environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))]
    if name == "large":
        return [(b"0123456789" * (int(value) // 10 + 1))[: int(value)]]
    if name == "complain":
        environ["wsgi.errors"].write(f"{value}\n")
        environ["wsgi.errors"].flush()
        return [b"complained\n"]
    if name == "die":
        return _half()
    if name == "slow":
        time.sleep(1)
    return [b"Hello\n"]


def _half() -> Iterator[bytes]:
    yield b"half of"
    os.kill(os.getpid(), signal.SIGKILL)
