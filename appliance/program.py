"""How this very program is started again: for `bin-path` in a configuration, scripts we write, and child
processes.

It is one executable file when frozen, the `fcgibox` script of an installation, or the package run from its
source.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys

NAME = "fcgibox"

# Taken at import: a relative argv[0] means nothing once somebody has changed the working directory.
_INVOKED = os.path.abspath(sys.argv[0]) if sys.argv and os.sep in sys.argv[0] else ""


def command() -> list[str]:
    """The words that start this program, to be followed by its arguments; the first is an absolute path."""
    if getattr(sys, "frozen", False):
        return [sys.executable]
    if os.path.basename(_INVOKED) == NAME and os.access(_INVOKED, os.X_OK) and os.path.isfile(_INVOKED):
        return [_INVOKED]
    return [sys.executable, "-m", "appliance"]


def as_root() -> str:
    """What was typed, to be typed again by somebody who is not root."""
    return f"sudo {shlex.join([*command(), *sys.argv[1:]])}"


def spoken() -> str:
    """This program as a person would type it: its name where the shell finds it, else the whole command."""
    words = command()
    found = shutil.which(NAME)
    known = found is not None and os.path.realpath(found) == os.path.realpath(words[0])
    return NAME if known and len(words) == 1 else shlex.join(words)
