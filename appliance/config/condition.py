"""Conditions: what `$HTTP["host"] == "…"` asks of a request.

A condition is a test that may be negated; equal tests of several blocks are one test. Expressions that are
plain text between `^` and `$` become equality, prefix or suffix, which the matcher finds by lookup instead
of by trying.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal, Protocol, TypeAlias

from appliance.config.diagnostic import nearest
from appliance.config.listener import parse_listener
from appliance.config.regex import beginning, compile_pattern

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
TestKind: TypeAlias = Literal["equal", "prefix", "suffix", "pattern", "network"]


class Subject(Protocol):
    """What a request shows to conditions; all text, "" where there is nothing."""

    @property
    def host(self) -> str:
        """Host in lower case, without port."""

    @property
    def path(self) -> str:
        """Decoded, normalised path of the URL."""

    @property
    def query(self) -> str:
        """Query string without "?"."""

    @property
    def method(self) -> str:
        """Request method."""

    @property
    def scheme(self) -> str:
        """ "http" or "https"."""

    @property
    def remote_address(self) -> str:
        """IP address of the client."""

    @property
    def socket(self) -> str:
        """Name of the listener that the connection came in by."""

    def header(self, name: str) -> str:
        """Value of a request header by its lower-case name."""


# The names in $HTTP["…"] and what they ask for; a header's name stands after "header:".
FIELDS = {
    "host": "host",
    "url": "path",
    "querystring": "query",
    "query-string": "query",
    "scheme": "scheme",
    "request-method": "method",
    "remoteip": "remote_address",
    "remote-ip": "remote_address",
    "referer": "header:referer",
    "user-agent": "header:user-agent",
    "useragent": "header:user-agent",
    "cookie": "header:cookie",
    "language": "header:accept-language",
}


def reader(field: str) -> Callable[[Subject], str]:
    """The function that takes a field from a request."""
    if field.startswith("header:"):
        name = field.removeprefix("header:")
        return lambda subject: subject.header(name)
    return attrgetter(field)


_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")


class ConditionReason(Exception):
    """Why a condition cannot be; `about` says which part of it is wrong."""

    def __init__(self, about: Literal["variable", "key", "value"], reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.about = about
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Test:
    """One question about one field of a request; `guard` is a prefix without which a pattern cannot hold."""

    field: str
    kind: TestKind
    value: str | re.Pattern[str] | Network
    guard: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """A test and whether it must hold or fail; `address` is that of a `$SERVER["socket"]`, as written."""

    test: Test
    negated: bool
    address: str = ""

    @property
    def listens(self) -> bool:
        """Whether the server listens on the address."""
        return bool(self.address) and not self.negated

    def on_port(self, port: int) -> Condition:
        """The same with the server's port where the address has none; it is known when all is read."""
        if not self.address:
            return self
        name = parse_listener(self.address, port).name
        return Condition(Test("socket", "equal", name), self.negated, self.address)


def condition(variable: str, key: str, operator: str, value: str) -> Condition:
    """Read a condition; raises ConditionReason if it cannot be."""
    field = _field(variable, key)
    negated = operator in ("!=", "!~")
    if field == "socket":
        return _socket(operator, value, negated)
    if field == "remote_address" and operator in ("==", "!="):
        return Condition(Test(field, "network", _network(value)), negated)
    if field == "remote_address" and operator in ("=^", "=$"):
        raise ConditionReason("value", "an address is compared with a network by == or !=")
    return Condition(_test(field, operator, value), negated)


def _field(variable: str, key: str) -> str:
    if variable == "REQUEST_HEADER":
        if not _TOKEN.match(key):
            raise ConditionReason("key", f'"{key}" is no name of a header')
        return "host" if key.lower() == "host" else f"header:{key.lower()}"
    if variable == "SERVER":
        if key != "socket":
            raise ConditionReason("key", f'$SERVER knows "socket", not "{key}"')
        return "socket"
    if variable != "HTTP":
        known = ("HTTP", "SERVER", "REQUEST_HEADER")
        near = nearest(variable, [name.lower() for name in known]).upper()
        raise ConditionReason(
            "variable",
            f"a condition begins with ${', $'.join(known)}, not with ${variable}",
            f"did you mean ${near.split(chr(34))[1]}?" if near else "",
        )
    if key not in FIELDS:
        hint = nearest(key, FIELDS) or f'a request header is compared with $REQUEST_HEADER["{key}"]'
        raise ConditionReason("key", f'$HTTP has no "{key}"', hint)
    return FIELDS[key]


def _test(field: str, operator: str, value: str) -> Test:
    if operator in ("=~", "!~"):
        return _pattern(field, value)
    if field == "host":
        value = value.lower()
    if operator == "=^":
        return Test(field, "prefix", value)
    if operator == "=$":
        return Test(field, "suffix", value)
    # A request's port is its listener's: the field holds the name alone.
    return Test(field, "equal", re.sub(r":[0-9]+\Z", "", value) if field == "host" else value)


def _pattern(field: str, pattern: str) -> Test:
    try:
        compiled = compile_pattern(pattern)
    except ValueError as error:
        raise ConditionReason("value", str(error)) from None
    begins = beginning(pattern)
    if not begins.text:
        return Test(field, "pattern", compiled)
    if begins.rest == "$":
        return Test(field, "equal" if begins.anchored else "suffix", begins.text)
    if begins.rest == "" and begins.anchored:
        return Test(field, "prefix", begins.text)
    return Test(field, "pattern", compiled, begins.text if begins.anchored else "")


def _network(text: str) -> Network:
    try:
        network = ipaddress.ip_network(
            text.removeprefix("[").replace("]", "", 1) if "[" in text else text, strict=False
        )
    except ValueError:
        hint = "write 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32"
        raise ConditionReason("value", f'"{text}" is neither an IP address nor a network', hint) from None
    return network


def _socket(operator: str, value: str, negated: bool) -> Condition:
    if operator not in ("==", "!="):
        return Condition(_test("socket", operator, value), negated)
    try:
        listener = parse_listener(value, 80)
    except ValueError as error:
        raise ConditionReason("value", str(error)) from None
    return Condition(Test("socket", "equal", listener.name), negated, value)
