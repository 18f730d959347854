"""The key `waiting-page` of a host entry: what browsers see while an application starts."""

from __future__ import annotations

from typing import Any

from appliance.config.diagnostic import Position, Report

BUILT_IN = "enable"


def waiting_page(given: dict[str, Any], places: dict[str, Position], report: Report) -> str:
    """ "" for none, BUILT_IN for ours, or the path of a file; what cannot be is reported."""
    value: str = given.get("waiting-page") or ""
    if value in ("", "disable"):
        return ""
    where = places["waiting-page"]
    if not given.get("bin-path"):
        hint = "only what we start has a start to wait for"
        report.error(where, '"waiting-page" needs "bin-path"', hint)
    elif value != BUILT_IN and not value.startswith("/"):
        hint = 'it is "enable" (our page), "disable", or the path of an HTML file'
        report.error(where, f'"{value}" is no waiting page', hint)
    return value
