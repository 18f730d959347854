"""Remarks of the application side: lines on standard error, which the supervisor or another front
collects."""

from __future__ import annotations

import logging
import logging.handlers
import sys
import time
from typing import Any

_SILENCE = 60.0  # seconds


def note(text: str) -> None:
    """Write one remark; a closed standard error is no reason to stop serving."""
    try:
        sys.stderr.write(f"fcgibox: {text}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return


class FollowingRotation:
    """Stands in for the module `logging` where a program makes its log file: a renamed file is left to
    logrotate, and a new one begun."""

    FileHandler = logging.handlers.WatchedFileHandler

    def __getattr__(self, name: str) -> Any:
        return getattr(logging, name)


def survive_a_full_disk() -> None:
    """A log file that cannot be written gives one remark a minute, not forty lines for each of its own."""
    until = 0.0

    def remark(handler: logging.Handler, record: logging.LogRecord) -> None:
        nonlocal until
        if time.monotonic() >= until:
            until = time.monotonic() + _SILENCE
            where = getattr(handler, "baseFilename", "the log")
            note(f"cannot write {where}: {sys.exc_info()[1]}; it said: {record.getMessage()}")

    logging.Handler.handleError = remark  # type: ignore[method-assign, assignment]
