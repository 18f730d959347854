"""The environment of a child: what the configuration says, and nothing of ours by accident.

The frozen program's loader variables break foreign programs (a bundled libssl before the system's); systemd's
descriptors and our own FastCGI settings are not theirs. PHP counts its children by the environment: one
process, one request at a time, unless configured; recycling is ours (`PHP_FCGI_MAX_REQUESTS=0`), between
requests.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from appliance.config import PoolDefinition

_OURS = frozenset(
    {
        "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
        "FCGI_WEB_SERVER_ADDRS", "FCGI_ROLE", "PHP_FCGI_CHILDREN", "PHP_FCGI_MAX_REQUESTS",
        "FCGIBOX_TEMPLATE", "MAINPID", "INVOCATION_ID", "JOURNAL_STREAM",
    }
)  # fmt: skip
_LOADER = "LD_LIBRARY_PATH"
_FROZEN_PREFIX = "_PYI_"


def is_frozen() -> bool:
    """We are the PyInstaller executable."""
    return bool(getattr(sys, "frozen", False))


def is_our_program(path: str) -> bool:
    """`path` is this executable itself, so that a child shares the directory it is unpacked in."""
    try:
        return is_frozen() and os.path.samefile(path, sys.executable)
    except OSError:
        return False


def clean(inherited: Mapping[str, str], *, frozen: bool, for_ourselves: bool) -> dict[str, str]:
    """What a child may inherit. `for_ourselves`: it is our own frozen executable, which needs its
    variables."""
    result = {name: value for name, value in inherited.items() if name not in _OURS}
    return without_loader(result) if frozen and not for_ourselves else result


def without_loader(inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment without what the frozen program's loader has put into it."""
    result = dict(inherited)
    # PyInstaller points the loader at the bundle and keeps what was set before it in *_ORIG.
    original = result.pop(f"{_LOADER}_ORIG", None)
    result.pop(_LOADER, None)
    if original is not None:
        result[_LOADER] = original
    return {name: value for name, value in result.items() if not name.startswith(_FROZEN_PREFIX)}


def inherited_by_us() -> dict[str, str]:
    """Our environment as it came, with what the frozen program's loader has put into it."""
    environment = dict(os.environ)
    # In the locale C Python says C.UTF-8 to everybody it starts (PEP 538); the kernel knows what was given.
    with open("/proc/self/environ", "rb") as file:
        at_start = dict(pair.partition(b"=")[::2] for pair in file.read().split(b"\0") if pair)
    environment.pop("LC_CTYPE", None)
    if b"LC_CTYPE" in at_start:
        environment["LC_CTYPE"] = os.fsdecode(at_start[b"LC_CTYPE"])
    return environment


def as_given() -> dict[str, str]:
    """Our environment as our caller made it, the frozen program's loader taken out."""
    environment = inherited_by_us()
    return without_loader(environment) if is_frozen() else environment


def for_application(definition: PoolDefinition, program: str, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of one application process: copied, then bin-environment, then PHP's two if absent."""
    ours = is_our_program(program)
    base = clean(inherited, frozen=is_frozen(), for_ourselves=ours)
    if definition.copy_environment is not None:
        # Named explicitly, even a variable of ours is wanted; the frozen program cannot do without its own.
        named = set(definition.copy_environment)
        kept = {name: value for name, value in base.items() if name in named}
        kept.update({name: inherited[name] for name in named & _OURS if name in inherited})
        if ours:
            kept.update({n: v for n, v in base.items() if n == _LOADER or n.startswith(_FROZEN_PREFIX)})
        base = kept
    base.update(definition.environment)
    base.setdefault("PHP_FCGI_CHILDREN", "1")
    base.setdefault("PHP_FCGI_MAX_REQUESTS", "0")
    return base
