"""Remarks of the application side: lines on standard error, which the supervisor or another front
collects."""

from __future__ import annotations

import sys


def note(text: str) -> None:
    """Write one remark; a closed standard error is no reason to stop serving."""
    try:
        sys.stderr.write(f"fcgibox: {text}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return
