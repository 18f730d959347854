"""What a process may at most: the values of `umask` and `limits` of a host entry.

The names of limits are those of limits.conf(5) and prlimit(1), without systemd's "Limit" before them. A value
is one number for both, or SOFT:HARD as systemd writes it; "infinity" and "unlimited" lift a limit.
"""

from __future__ import annotations

import re
import resource
from dataclasses import dataclass

from appliance.config.diagnostic import nearest

_BYTES, _COUNT, _SECONDS, _MICROSECONDS = "bytes", "", "seconds", "microseconds"

_UNITS = {
    "as": _BYTES,
    "core": _BYTES,
    "cpu": _SECONDS,
    "data": _BYTES,
    "fsize": _BYTES,
    "memlock": _BYTES,
    "msgqueue": _BYTES,
    "nofile": _COUNT,
    "nproc": _COUNT,
    "rtprio": _COUNT,
    "rttime": _MICROSECONDS,
    "sigpending": _COUNT,
    "stack": _BYTES,
}
_FACTORS = {
    _BYTES: {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40},
    _COUNT: {"": 1},
    _SECONDS: {"": 1, "s": 1, "min": 60, "h": 3600},
    _MICROSECONDS: {"": 1, "us": 1, "ms": 1000, "s": 1_000_000},
}
_ENDLESS = ("infinity", "unlimited")
_MOST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ResourceLimit:
    """One limit of setrlimit(2); -1 is none."""

    name: str
    soft: int
    hard: int

    @property
    def number(self) -> int:
        """RLIMIT_…"""
        number: int = getattr(resource, f"RLIMIT_{self.name.upper()}")
        return number

    def __str__(self) -> str:
        return f"{self.name} {shown(self.soft)}:{shown(self.hard)}"


def shown(value: int) -> str:
    """A limit as it is written."""
    return "infinity" if value < 0 else str(value)


def limits(pairs: tuple[tuple[str, str], ...]) -> tuple[ResourceLimit, ...]:
    """The limits of a process, sorted by name. Raises ValueError with the reason."""
    found = {}
    for name, text in pairs:
        if name not in _UNITS:
            hint = nearest(name.lower().removeprefix("limit").removeprefix("rlimit_"), _UNITS)
            raise ValueError(f'there is no limit "{name}"; {hint or "there are " + ", ".join(_UNITS)}')
        if name in found:
            raise ValueError(f'the limit "{name}" is there twice')
        soft, colon, hard = text.partition(":")
        limit = ResourceLimit(name, _amount(name, soft), _amount(name, hard if colon else soft))
        if limit.hard >= 0 and not 0 <= limit.soft <= limit.hard:
            raise ValueError(f'the limit "{name}" => "{text}" has its soft value above its hard one')
        found[name] = limit
    return tuple(found[name] for name in sorted(found))


def _amount(name: str, text: str) -> int:
    if text in _ENDLESS:
        return -1
    factors = _FACTORS[_UNITS[name]]
    match = re.fullmatch(r"([0-9]{1,19}) ?([A-Za-z]{0,3})", text)
    if match is None or match[2] not in factors or int(match[1]) * factors[match[2]] > _MOST:
        endings = ", ".join(f'"1{unit}"' for unit in factors if unit)
        unit = f" of {_UNITS[name]} (also {endings})" if endings else ""
        raise ValueError(f'the limit "{name}" takes a number{unit}, SOFT:HARD, or "infinity", not "{text}"')
    return int(match[1]) * factors[match[2]]


def file_mask(text: str) -> int:
    """A umask, in octal digits. Raises ValueError with the reason."""
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise ValueError(f'a umask has three octal digits, such as "027", not "{text}"')
    return int(text, 8)
