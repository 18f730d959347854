"""Applications behind FastCGI and SCGI; the keys of a host entry stand in `appliance.config.host_keys`."""

from __future__ import annotations

from appliance.config.options.option import Option, Type

_S, _I, _P = Type.STRING, Type.INTEGER, Type.PAIRS
_DEBUG = "What is logged of each request; 1: who got it, and the load of all; 2: records, too; 0: errors."

TABLE = (
    Option(
        "fastcgi.server",
        Type.GATEWAY,
        (),
        "Applications that speak FastCGI, by prefix or end of the path.",
        "mod_fastcgi",
    ),
    Option(
        "fastcgi.map-extensions",
        _P,
        (),
        "Ends of paths that count as another key of fastcgi.server.",
        "mod_fastcgi",
    ),
    Option(
        "fastcgi.balance",
        _S,
        "least-connection",
        "Which of several hosts gets a request.",
        "mod_fastcgi",
        choices=("least-connection", "fair", "round-robin", "hash", "sticky"),
    ),
    Option(
        "fastcgi.debug",
        _I,
        0,
        _DEBUG,
        "mod_fastcgi",
        maximum=65535,
    ),
    Option(
        "scgi.server",
        Type.GATEWAY,
        (),
        "Applications that speak SCGI, by prefix or end of the path.",
        "mod_scgi",
    ),
    Option(
        "scgi.map-extensions", _P, (), "Ends of paths that count as another key of scgi.server.", "mod_scgi"
    ),
    Option(
        "scgi.balance",
        _S,
        "least-connection",
        "Which of several hosts gets a request.",
        "mod_scgi",
        choices=("least-connection", "fair", "round-robin", "hash", "sticky"),
    ),
    Option("scgi.debug", _I, 0, _DEBUG, "mod_scgi", maximum=65535),
)
