"""The address under which browsers see us, where it is not the one of the request that reaches us.

Behind another front or a TLS terminator the request tells neither scheme nor host nor prefix of the public
address.
"""

from __future__ import annotations

import urllib.parse
from typing import Any

from appliance.errors import UserError

_PATH_SAFE = "/!~*'()"


class VisibleURL:
    """A public address. Without a path ("https://example.org") the prefix stays that of the request."""

    def __init__(self, text: str) -> None:
        """Raises UserError."""
        try:
            parts = urllib.parse.urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise UserError(f"--url {text}: {error}", status=2) from None
        bad = parts.query or parts.fragment or "@" in parts.netloc or any(c.isspace() for c in text)
        if parts.scheme not in ("http", "https") or not parts.hostname or bad:
            raise UserError(f"--url {text}: it is http://HOST[:PORT][/PREFIX] or https://…", status=2)
        self.scheme = parts.scheme
        self.host = parts.netloc
        self.port = port or (443 if parts.scheme == "https" else 80)
        self.prefix: str | None = (
            urllib.parse.quote(parts.path.rstrip("/"), safe=_PATH_SAFE + "%") if parts.path else None
        )

    def apply(self, environ: dict[str, Any]) -> None:
        """Make the WSGI environment tell this address."""
        environ["wsgi.url_scheme"] = self.scheme
        environ["HTTP_HOST"] = self.host
        environ["SERVER_PORT"] = str(self.port)
        if self.prefix is not None:
            environ["SCRIPT_NAME"] = self.prefix
            environ.pop("SCRIPT_URL", None)  # Apache's idea of the same; Trac would prefer it

    def base(self, script_name: str) -> str:
        """The absolute URL of what lies at `script_name`."""
        return f"{self.scheme}://{self.host}{script_name}"


def quoted(script_name: str) -> str:
    """SCRIPT_NAME as it stands in URLs. Trac puts it before its links and into cookie paths as it is."""
    return urllib.parse.quote(script_name.encode("latin-1"), safe=_PATH_SAFE)


def segment(name: str) -> str:
    """The path segment of a project's name."""
    return urllib.parse.quote(name.encode("utf-8", "surrogateescape"), safe="!~*'()")
