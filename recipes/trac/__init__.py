"""Trac from a handful of options.

`plan` checks the options and this machine (`options`, `accounts`, `environments`, `reach`), `text` turns
the result into lighttpd.conf text, `creation` makes a new environment in a process of its own. Trac
itself is never imported here: the supervisor stays small, and what runs Trac is forked from one warm
template.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from recipes.trac.creation import MAKE
from recipes.trac.machine import look
from recipes.trac.options import read
from recipes.trac.plan import TracPlan
from recipes.trac.usage import USAGE

__all__ = ["INTERNAL", "USAGE", "plan"]


def plan(options: Mapping[str, Any]) -> TracPlan:
    """What these options (docopt's answer for USAGE) mean on this machine. Raises UserError."""
    return TracPlan(read(options), look())


def _make_environment() -> int:
    from recipes.trac import maker

    return maker.main()


INTERNAL: Mapping[str, Callable[[], int]] = {MAKE: _make_environment}
