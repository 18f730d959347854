"""The table of options: everything a configuration may set, each option once, with what it means.

From it come validation, defaults, "did you mean", `fcgibox help` and docs/options.md. Names, types and
defaults are lighttpd's (1.4.69), except for those that begin with `fcgibox.`, which a lighttpd warns about
and passes over. An option that cannot matter here has its reason in `without_effect`; one that another
answer would depend on, but that is not implemented, accepts only the value that means what happens here
anyway.

A new option is one entry in the table of its subject: `server`, `sockets`, `requests`, `files`, `access`,
`logs` or `gateways`. The keys of a host entry stand in `appliance.config.host_keys`.
"""

from appliance.config.options import access, files, gateways, logs, requests, server, sockets
from appliance.config.options.option import Option, Scope, Type

SUBJECTS = {
    "The server": server.TABLE,
    "Sockets": sockets.TABLE,
    "Requests": requests.TABLE,
    "Files": files.TABLE,
    "Who may come in": access.TABLE,
    "Logs": logs.TABLE,
    "Applications": gateways.TABLE,
}
"""The tables, by the heading they have in a reference."""

OPTIONS = {option.name: option for table in SUBJECTS.values() for option in table}
"""Every option by its name."""

DEFAULTS = {option.name: option.default for option in OPTIONS.values()}

ALWAYS_LOADED = frozenset({"mod_indexfile", "mod_dirlisting", "mod_staticfile"})
"""Modules that need not be listed, as in lighttpd."""

MODULES = frozenset(option.module for option in OPTIONS.values() if option.module)
"""Modules that are built in."""

__all__ = ["ALWAYS_LOADED", "DEFAULTS", "MODULES", "OPTIONS", "SUBJECTS", "Option", "Scope", "Type"]
