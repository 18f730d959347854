"""A request as conditions see it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Request:
    """Satisfies `appliance.config.Subject`; header names in lower case."""

    path: str = "/"
    host: str = "www.example.org"
    query: str = ""
    method: str = "GET"
    scheme: str = "http"
    remote_address: str = "127.0.0.1"
    socket: str = "0.0.0.0:80"
    headers: dict[str, str] = field(default_factory=dict)

    def header(self, name: str) -> str:
        """The value of a header, "" if absent."""
        return self.headers.get(name, "")
