"""The addresses a configuration listens on: `server.bind`, `server.port` and `$SERVER["socket"]`.

As in lighttpd an address is `host:port`, `host`, `:port`, `[v6]:port` or an absolute path (with or without
`unix:`).
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["inet", "inet6", "unix"]

DEFAULT_BACKLOG = 1024  # lighttpd's default of server.listen-backlog
MAXIMUM_SOCKET_PATH = 107  # sun_path holds 108 octets, one of them ends the string (unix(7))


@dataclass(frozen=True, slots=True)
class Listener:
    """One listening socket; `address` is an IP address or a path, `port` is 0 for a path."""

    kind: Kind
    address: str
    port: int
    backlog: int = DEFAULT_BACKLOG
    permissions: int | None = None
    """Of a unix socket; None: what the umask leaves."""

    @property
    def name(self) -> str:
        """The address as it is written everywhere: "127.0.0.1:8000", "[::1]:80", "unix:/path"."""
        if self.kind == "unix":
            return f"unix:{self.address}"
        if self.kind == "inet6":
            return f"[{self.address}]:{self.port}"
        return f"{self.address}:{self.port}"


def parse_listener(text: str, port: int, backlog: int = DEFAULT_BACKLOG) -> Listener:
    """Read an address; `port` counts where the text has none. Raises ValueError with the reason."""
    path = text.removeprefix("unix:")
    if path.startswith("/"):
        check_socket_path(path)
        return Listener("unix", path, 0, backlog)
    if path != text:
        raise ValueError(f'"{text}" is no absolute path after unix:')
    host, port = _host_and_port(text, port)
    if host in ("", "*"):
        return Listener("inet", "0.0.0.0", port, backlog)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return Listener("inet", _resolve(host), port, backlog)
    if address.version == 6:
        return Listener("inet6", str(address), port, backlog)
    return Listener("inet", str(address), port, backlog)


def socket_permissions(text: str) -> int:
    """Read `server.socket-perms`. Raises ValueError with the reason."""
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise ValueError(f'permissions are three octal digits, such as "0660", not "{text}"')
    return int(text, 8)


def check_socket_path(path: str) -> None:
    """Refuse a path that the kernel cannot bind or connect to; raises ValueError with the reason."""
    if len(path.encode("utf-8", "surrogateescape")) > MAXIMUM_SOCKET_PATH:
        raise ValueError(
            f"a unix socket's path has at most {MAXIMUM_SOCKET_PATH} bytes; this one has {len(path)}"
        )
    if "\0" in path:
        raise ValueError("a unix socket's path cannot hold a NUL")


def _host_and_port(text: str, port: int) -> tuple[str, int]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f'"{text}" is not an address: an IPv6 one is written [::1] or [::1]:8000')
        return host, _port(rest[1:], text) if rest else port
    if text.count(":") > 1:
        return text, port
    host, colon, number = text.partition(":")
    return host, _port(number, text) if colon else port


def _port(digits: str, text: str) -> int:
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and 0 < int(digits) < 65536):
        raise ValueError(f'"{text}" has no port between 1 and 65535')
    return int(digits)


def _resolve(host: str) -> str:
    """The first IPv4 address of a name, looked up once at start as lighttpd does."""
    if len(host) > 253 or not all(part and len(part) <= 63 for part in host.rstrip(".").split(".")):
        raise ValueError(f'"{host}" is neither an IP address nor a host name')
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ValueError(f'"{host}" is no address of this machine: {error}') from None
    return str(found[0][4][0])
