"""The table of options: everything a configuration may set, each option once, with what it means.

From it come validation, defaults, "did you mean", `fcgibox help` and docs/options.md. Names, types and
defaults are lighttpd's (1.4.69), except for those that begin with `fcgibox.`, which a lighttpd warns about
and passes over. An option that cannot matter here has its reason in `without_effect`; one that another
answer would depend on, but that is not implemented, accepts only the value that means what happens here
anyway.

A new option is one entry in the table of its subject: `server`, `sockets`, `requests`, `files`, `access`,
`logs`, `status` or `gateways`. The keys of a host entry stand in `appliance.config.host_keys`.
"""

from appliance.config.options import access, files, gateways, logs, requests, server, sockets, status
from appliance.config.options.option import Option, Scope, Subject, Type

SUBJECTS = (
    Subject("server", "The server as a whole", server.TABLE),
    Subject("sockets", "Sockets it listens on", sockets.TABLE),
    Subject("requests", "Requests and answers", requests.TABLE),
    Subject("files", "Files", files.TABLE),
    Subject("access", "Who may come in", access.TABLE),
    Subject("logs", "Logs", logs.TABLE),
    Subject("status", "Status and statistics", status.TABLE),
    Subject("gateways", "Applications behind FastCGI and SCGI", gateways.TABLE),
)
"""The tables, in the order of a reference."""

OPTIONS = {option.name: option for subject in SUBJECTS for option in subject.table}
"""Every option by its name."""

DEFAULTS = {option.name: option.default for option in OPTIONS.values()}

ALWAYS_LOADED = frozenset({"mod_indexfile", "mod_dirlisting", "mod_staticfile"})
"""Modules that need not be listed, as in lighttpd."""

MODULES = frozenset(option.module for option in OPTIONS.values() if option.module)
"""Modules that are built in."""

__all__ = [
    "ALWAYS_LOADED",
    "DEFAULTS",
    "MODULES",
    "OPTIONS",
    "SUBJECTS",
    "Option",
    "Scope",
    "Subject",
    "Type",
]
