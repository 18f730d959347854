"""What the server tells about itself at a URL. Who may ask is a matter of conditions or of auth.require."""

from __future__ import annotations

from appliance.config.options.option import Option, Type

_S, _B = Type.STRING, Type.BOOLEAN

TABLE = (
    Option("status.status-url", _S, None, "Path of the page about clients and pools.", "mod_status"),
    Option("status.statistics-url", _S, None, "Path of the counters of applications.", "mod_status"),
    Option(
        "status.enable-sort",
        _B,
        True,
        "Sort tables in the browser.",
        "mod_status",
        without_effect="the tables are short and have no script",
    ),
)
