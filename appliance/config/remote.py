"""Keys of a host entry that concern hosts which somebody else starts, perhaps on another machine."""

from __future__ import annotations

from typing import Any

from appliance.config.diagnostic import Position, Report
from appliance.config.pools import Protocol


def check(given: dict[str, Any], places: dict[str, Position], protocol: Protocol, report: Report) -> str:
    """The value of `check`, "" if there is none; what cannot be is reported, of `keep-connections` too."""
    kept = places.get("keep-connections")
    if kept is not None and given["keep-connections"]:
        if protocol == "scgi":
            report.error(kept, '"keep-connections": an SCGI connection ends with its answer', "leave it out")
        elif given.get("bin-path"):
            hint = "it keeps one for each of its slots"
            report.error(kept, '"keep-connections" is for hosts without "bin-path"', hint)
    value: str = given.get("check") or ""
    if not value:
        return ""
    where = places["check"]
    if given.get("bin-path"):
        report.error(
            where,
            '"check" is for hosts without "bin-path"',
            "what we start is watched anyway, and a check would take the place of a request",
        )
    elif value == "values":
        if protocol == "scgi":
            report.error(where, '"check" => "values" is a question of FastCGI', 'give a path: "/ping"')
    elif not value.startswith("/") or any(not 32 < ord(character) < 127 for character in value):
        report.error(where, f'"{value}" is no check', 'it is a path, "/ping", or "values" (FCGI_GET_VALUES)')
    return value
