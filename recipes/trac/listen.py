"""Addresses to listen on: what the user writes, what the configuration says, and the URLs that people can
use.

The rule: nothing is reachable from outside unless the user said so; an address left out is 127.0.0.1.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
ANYWHERE = "0.0.0.0"
_SOCKET_PATH = 107  # sun_path of unix(7)


@dataclass(frozen=True, slots=True)
class Listen:
    """One address: an IP address with a port, or the path of a unix socket."""

    address: str
    port: int

    @property
    def is_path(self) -> bool:
        """A unix socket."""
        return self.address.startswith("/")

    @property
    def is_v6(self) -> bool:
        """An IPv6 address."""
        return ":" in self.address and not self.is_path

    @property
    def everywhere(self) -> bool:
        """All interfaces of its family."""
        return self.address in (ANYWHERE, "::")

    @property
    def loopback(self) -> bool:
        """Only this machine can reach it."""
        return self.is_path or ipaddress.ip_address(self.address).is_loopback

    @property
    def host(self) -> str:
        """The address as a URL and `server.bind` write it."""
        return f"[{self.address}]" if self.is_v6 else self.address

    def __str__(self) -> str:
        return f"unix:{self.address}" if self.is_path else f"{self.host}:{self.port}"


def parse(text: str, lan: bool) -> Listen:
    """Read one --listen; `lan` opens those without an address. Raises ValueError with the reason."""
    if text.startswith(("unix:", "/")):
        path = text.removeprefix("unix:")
        if not path.startswith("/"):
            raise ValueError("the path of a unix socket begins with a slash: unix:/run/trac.sock")
        if len(os.fsencode(path)) > _SOCKET_PATH - 2 or not path.isprintable() or set(path) & {'"', "\\"}:
            raise ValueError(f"the path of a unix socket has at most {_SOCKET_PATH - 2} bytes, and no quotes")
        return Listen(path, 0)
    match = re.fullmatch(r"(?:(\[[^\]]*\]|[^:]*):)?([0-9]{1,5})", text)
    if match is None:
        raise ValueError("say PORT, ADDR:PORT, [IPV6]:PORT or unix:/path")
    host, port = match[1] or "", int(match[2])
    if not 0 < port < 65536:
        raise ValueError("a port is between 1 and 65535")
    if not host:
        return Listen(ANYWHERE if lan else LOOPBACK, port)
    if host == "*":
        return Listen(ANYWHERE, port)
    if host == "localhost":
        return Listen(LOOPBACK, port)
    try:
        address = ipaddress.ip_address(host[1:-1] if host.startswith("[") else host)
    except ValueError:
        raise ValueError(f"{host!r} is not an IP address") from None
    if (address.version == 6) != host.startswith("["):
        raise ValueError("only an IPv6 address stands in brackets, and always does: [::1]:8000")
    return Listen(str(address), port)


def urls(listen: Listen, path: str) -> list[str]:
    """The URLs at which people reach this address; a unix socket has none."""
    if listen.is_path:
        return []
    hosts = [listen.host]
    if listen.everywhere:
        own = [address for address in own_addresses() if (":" in address) == listen.is_v6]
        hosts = [f"[{address}]" if ":" in address else address for address in own]
        hosts.append("[::1]" if listen.is_v6 else LOOPBACK)
    port = "" if listen.port == 80 else f":{listen.port}"
    return [f"http://{host}{port}{path}" for host in hosts]


def own_addresses() -> list[str]:
    """This machine's addresses that others can use: no loopback, no link-local ones."""
    found = {**dict.fromkeys(_ipv4_addresses()), **dict.fromkeys(_ipv6_addresses())}
    usable = []
    for address in found:
        parsed = ipaddress.ip_address(address)
        if not (parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified):
            usable.append(address)
    return usable


def _ipv4_addresses() -> list[str]:
    import fcntl

    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(asked, 0x8915, request)  # SIOCGIFADDR, netdevice(7)
            except OSError:
                continue  # an interface without an IPv4 address
            found.append(socket.inet_ntoa(answer[20:24]))
    return found


def _ipv6_addresses() -> list[str]:
    try:
        lines = Path("/proc/net/if_inet6").read_text().splitlines()
    except OSError:
        return []
    return [str(ipaddress.IPv6Address(bytes.fromhex(line.split()[0]))) for line in lines]
