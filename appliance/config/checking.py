"""One value against one type: what the option table and the keys of a host have in common.

The conversions are lighttpd's: a number may be a string of digits (it came from the environment), a switch
may be "true" or a number.
"""

from __future__ import annotations

from typing import Any

from appliance.config.diagnostic import Report
from appliance.config.options import Type
from appliance.config.values import Array, Value

_SWITCHES = {"enable": True, "true": True, "disable": False, "false": False}


def checked(
    value: Value, wanted: Type, name: str, report: Report, minimum: int = 0, maximum: int = 2**31 - 1
) -> Any:
    """The value as Python has it, None if it is of another type, which is reported."""
    content = value.content
    if wanted is Type.STRING and isinstance(content, str):
        return content
    if wanted is Type.INTEGER:
        number = _number(content)
        if number is None:
            return _mismatch(value, wanted, name, report)
        if not minimum <= number <= maximum:
            report.error(value.position, f"{name} is between {minimum} and {maximum}, not {number}")
            return None
        return number
    if wanted is Type.BOOLEAN:
        switch = _switch(content)
        return _mismatch(value, wanted, name, report) if switch is None else switch
    if wanted is Type.STRINGS and isinstance(content, Array):
        return _strings(content, name, report)
    if wanted is Type.PAIRS and isinstance(content, Array):
        return _pairs(content, name, report)
    if wanted in (Type.SWITCHES, Type.LIMITS) and isinstance(content, Array):
        return _switches(content, wanted, name, report)
    return _mismatch(value, wanted, name, report)


def _mismatch(value: Value, wanted: Type, name: str, report: Report) -> None:
    hint = ""
    if wanted is Type.STRINGS and isinstance(value.content, str):
        hint = f'write ( "{value.content}" )'
    report.error(value.position, f"{value.kind} where {name} takes {wanted.value}", hint)


def _number(content: object) -> int | None:
    if isinstance(content, str) and content.isascii() and len(content) <= 11:
        return int(content) if content.removeprefix("-").isdigit() else None
    return content if isinstance(content, int) else None


def _switch(content: object) -> bool | None:
    if isinstance(content, str):
        return _SWITCHES.get(content.lower())
    return content != 0 if isinstance(content, int) else None


def _strings(content: Array, name: str, report: Report) -> tuple[str, ...] | None:
    found = []
    for element in content:
        if element.key is not None:
            report.error(element.position, f"{name} takes {Type.STRINGS.value}, without keys")
            return None
        if not isinstance(element.value.content, str):
            report.error(element.position, f"{element.value.kind} where {name} takes {Type.STRINGS.value}")
            return None
        found.append(element.value.content)
    return tuple(found)


def _pairs(content: Array, name: str, report: Report) -> tuple[tuple[str, str], ...] | None:
    found = []
    for element in content:
        if element.key is None or not isinstance(element.value.content, str):
            report.error(element.position, f"{name} takes {Type.PAIRS.value}")
            return None
        found.append((element.key, element.value.content))
    return tuple(found)


def _switches(content: Array, wanted: Type, name: str, report: Report) -> tuple[tuple[str, str], ...] | None:
    found = []
    for element in content:
        if element.key is None or isinstance(element.value.content, Array):
            report.error(element.position, f"{name} takes {wanted.value}")
            return None
        found.append((element.key, str(element.value.content)))
    return tuple(found)
