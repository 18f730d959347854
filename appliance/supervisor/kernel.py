"""The two Linux process controls that Python has no name for: prctl(2).

PR_SET_PDEATHSIG belongs to the thread that forked and is cleared by a change of identity: call it after the
last setuid, from the main thread, and then look whether the parent is still there (it may have died before
the call).
"""

from __future__ import annotations

import ctypes
import os

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int, number: int) -> bool:
    """Have the kernel send us signal `number` when our parent ends. False: `parent` is gone already."""
    _prctl(_PR_SET_PDEATHSIG, number)
    return os.getppid() == parent


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ended (php-cgi's children, a template's
    applications)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"prctl({option}, {value}): {os.strerror(error)}")
