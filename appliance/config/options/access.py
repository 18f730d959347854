"""Who may come in."""

from __future__ import annotations

from appliance.config.options.option import Option, Type

_S, _L = Type.STRING, Type.STRINGS

TABLE = (
    Option("url.access-deny", _L, (), "Ends of paths that are refused with 403.", "mod_access"),
    Option("auth.backend", _S, None, "Kind of password file.", "mod_auth", choices=("htpasswd", "plain")),
    Option("auth.backend.htpasswd.userfile", _S, None, "Password file with hashes.", "mod_authn_file"),
    Option("auth.backend.plain.userfile", _S, None, "Password file with plain passwords.", "mod_authn_file"),
    Option(
        "auth.require",
        Type.AUTHENTICATION,
        (),
        "Who may see what lies below a prefix of the path.",
        "mod_auth",
    ),
)
