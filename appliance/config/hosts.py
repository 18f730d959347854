"""The host entries of `fastcgi.server` and `scgi.server`, checked and made into pools.

Their keys stand in `host_keys`. lighttpd passes over a key that it does not know;
here it is an error, for a typo there is a site that does not work. Which entries are one pool is decided in
`sharing`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any

from appliance.config.checking import checked
from appliance.config.confinement import file_mask, limits
from appliance.config.diagnostic import Position, Report, nearest
from appliance.config.host_keys import KEYS
from appliance.config.listener import check_socket_path
from appliance.config.options import Type
from appliance.config.pools import GatewayRule, Mode, PoolDefinition, Protocol
from appliance.config.regex import compile_pattern
from appliance.config.remote import check
from appliance.config.sharing import Sharing
from appliance.config.values import Array, Element, Value
from appliance.config.waiting import waiting_page

_SHELL = re.compile(r"[\"'\\$|&;<>()`*?]")


class Hosts:
    """Reads the host entries of a configuration, block by block; `settle` makes pools of them."""

    def __init__(self, report: Report, user: str | None, group: str | None) -> None:
        self._report = report
        self._user = user
        self._group = group
        self._sharing = Sharing(report, user, group)

    @property
    def pools(self) -> list[PoolDefinition]:
        """The distinct pools, once `settle` has been called."""
        return self._sharing.pools

    def settle(self, scopes: list[dict[str, Any]]) -> None:
        """All blocks have been read: make pools of their hosts, and name them in the rules."""
        self._sharing.settle()
        for values in scopes:
            for option in ("fastcgi.server", "scgi.server"):
                if option in values:
                    values[option] = tuple(self._settled(rule) for rule in values[option])

    def _settled(self, rule: GatewayRule) -> GatewayRule:
        found = (self._sharing.pool(pool) for pool in rule.pools)
        return GatewayRule(rule.key, tuple(pool for pool in found if pool is not None))

    def rules(self, option: str, value: Value, protocol: Protocol) -> tuple[GatewayRule, ...]:
        """The rules of one `fastcgi.server` or `scgi.server`; their hosts have no names yet."""
        expected = f"{option} takes {Type.GATEWAY.value}"
        if not isinstance(value.content, Array):
            self._report.error(value.position, f"{value.kind} where {expected}")
            return ()
        rules = []
        for element in value.content:
            if element.key is None or not isinstance(element.value.content, Array):
                self._report.error(element.position, f"this entry is not complete: {expected}")
                continue
            if not element.key:
                self._report.error(element.position, 'an empty key fits no path: a prefix begins with "/"')
                continue
            if element.key.startswith("~"):
                self._check_pattern(element.key[1:], element.position)
            pools = [
                pool
                for entry in element.value.content
                if (pool := self._entry(element.key, entry, protocol, expected)) is not None
            ]
            if not element.value.content.elements:
                self._report.error(element.position, f'"{element.key}" has no host')
            rules.append(GatewayRule(element.key, tuple(pools)))
        return tuple(rules)

    def _entry(self, key: str, entry: Element, protocol: Protocol, expected: str) -> PoolDefinition | None:
        content = entry.value.content
        if not isinstance(content, Array):
            hint = (
                "one pair of parentheses more stands around the keys of a host" if entry.key in KEYS else ""
            )
            self._report.error(entry.position, f"this is no host: {expected}", hint)
            return None
        before = len(self._report.errors)
        given: dict[str, Any] = {}
        places: dict[str, Position] = {}
        for element in content:
            name = element.key
            if name is None or name not in KEYS:
                self._unknown(element)
                continue
            known = KEYS[name]
            found = checked(
                element.value, known.type, f'"{name}"', self._report, known.minimum, known.maximum
            )
            given[name], places[name] = found, element.value.position
        if len(self._report.errors) > before:
            return None
        places[""] = entry.position
        definition = self._definition(given, places, protocol)
        if len(self._report.errors) > before:
            return None
        where = places.get("socket") or places.get("host") or places[""]
        self._sharing.add(definition, entry.key or _label(key), where)
        return definition

    def _check_pattern(self, pattern: str, position: Position) -> None:
        if not pattern:
            hint = 'a key that begins with "~" is a regular expression: "~^/app(/|$)"; a final ~ is "~~$"'
            self._report.error(position, 'there is no regular expression after "~"', hint)
            return
        try:
            compile_pattern(pattern)
        except ValueError as error:
            self._report.error(position, str(error))

    def _unknown(self, element: Element) -> None:
        if element.key is None:
            self._report.error(element.position, 'a host is described by pairs: "socket" => "/run/app.sock"')
            return
        hint = nearest(element.key.replace("_", "-"), KEYS) or f"its keys are {', '.join(KEYS)}"
        self._report.error(element.position, f'a host has no key "{element.key}"', hint)

    def _definition(
        self, given: dict[str, Any], places: dict[str, Position], protocol: Protocol
    ) -> PoolDefinition:
        command = self._command(given, places)
        socket, host, port = self._address(given, places, bool(command))
        environment: tuple[tuple[str, str], ...] = given.get("bin-environment") or ()
        maximum = _number(given, "max-procs")
        minimum = _number(given, "min-procs", min(KEYS["min-procs"].default, maximum))
        if minimum > maximum:
            reason = f'"min-procs" is above "max-procs": {maximum} processes will run'
            self._report.notice(places["min-procs"], reason)
        template = bool(given.get("template"))
        if template and not command:
            self._report.error(
                places["template"], '"template" needs "bin-path": only what we start can be forked'
            )
        for name in ("max-requests", "max-memory", "max-age", "restart-file"):
            if given.get(name) and not command:
                reason = f'"{name}" needs "bin-path": only what we start can be replaced'
                self._report.error(places[name], reason)
        return PoolDefinition(
            name="",
            protocol=protocol,
            socket=socket,
            host=host,
            port=port,
            command=command,
            environment=environment,
            copy_environment=given.get("bin-copy-environment"),
            mode=self._mode(given, places),
            docroot=given.get("docroot") or None,
            check_local=_switch(given, "check-local"),
            min_procs=min(minimum, maximum),
            max_procs=maximum,
            max_load_per_proc=_number(given, "max-load-per-proc"),
            idle_timeout=_number(given, "idle-timeout"),
            listen_backlog=_number(given, "listen-backlog"),
            disable_time=_number(given, "disable-time"),
            broken_scriptfilename=_switch(given, "broken-scriptfilename"),
            fix_root_scriptname=_switch(given, "fix-root-scriptname"),
            strip_request_uri=given.get("strip-request-uri") or "",
            x_sendfile=_switch(given, "x-sendfile", _switch(given, "allow-x-send-file")),
            x_sendfile_docroots=self._directories(given, places, "x-sendfile-docroot"),
            tcp_fin_propagate=_switch(given, "tcp-fin-propagate"),
            upgrade=_switch(given, "upgrade"),
            kill_signal=_number(given, "kill-signal"),
            connect_timeout=_number(given, "connect-timeout"),
            write_timeout=_number(given, "write-timeout"),
            read_timeout=_number(given, "read-timeout"),
            slots=_slots(given, environment, template),
            template=template,
            weight=_number(given, "weight"),
            resolve_interval=_number(given, "resolve-interval"),
            keep_connections=_number(given, "keep-connections"),
            check=check(given, places, protocol, self._report),
            check_interval=_number(given, "check-interval"),
            waiting_page=waiting_page(given, places, self._report),
            user=given.get("user") or self._user,
            # A user of its own brings its own group.
            group=given.get("group") or (None if given.get("user") else self._group),
            chroot=self._absolute(given, places, "chroot"),
            umask=self._converted(given, places, "umask", file_mask),
            nice=given.get("nice"),
            limits=self._converted(given, places, "limits", limits) or (),
            exclusive=self._directories(given, places, "exclusive"),
            queue_length=_number(given, "queue-length"),
            queue_timeout=_number(given, "queue-timeout"),
            max_requests=_number(given, "max-requests"),
            max_memory=_number(given, "max-memory"),
            max_age=_number(given, "max-age"),
            request_timeout=_number(given, "request-timeout"),
            restart_file=self._absolute(given, places, "restart-file"),
            position=places[""],
        )

    def _command(self, given: dict[str, Any], places: dict[str, Position]) -> tuple[str, ...]:
        text = given.get("bin-path") or ""
        words = tuple(text.split())
        if "bin-path" in given and given["bin-path"] is not None and not words:
            self._report.error(places["bin-path"], '"bin-path" is empty')
        if any(_SHELL.search(word) for word in words):
            self._report.notice(
                places["bin-path"],
                "no shell reads this command: it is split at blanks, quotes and signs stay as they are",
            )
        return words

    def _address(
        self, given: dict[str, Any], places: dict[str, Position], spawned: bool
    ) -> tuple[str | None, str | None, int]:
        socket, host, port = given.get("socket") or None, given.get("host") or None, _number(given, "port")
        if socket and host:
            self._report.error(places["host"], 'a host has either "socket" or "host" with "port", not both')
            return None, None, 0
        path = socket or (host if host and host.startswith("/") else None)
        if path:
            where = places["socket" if socket else "host"]
            if not path.startswith("/"):
                self._report.error(
                    where, "the path of a socket is absolute", f'"{path}" does not begin with "/"'
                )
            suffix = f"-{_number(given, 'max-procs')}" if spawned else ""
            try:
                check_socket_path(path + suffix)
            except ValueError as error:
                self._report.error(
                    where, str(error), f'each process has its own: "{path}-0", …' if suffix else ""
                )
            return path, None, 0
        if not host and not spawned:
            hint = 'say where it listens, or with "bin-path" how it is started'
            self._report.error(places[""], 'a host needs "socket", "host" or "bin-path"', hint)
            return None, None, 0
        return None, self._host(host or "127.0.0.1", places), port or 80

    def _host(self, host: str, places: dict[str, Position]) -> str:
        """The host as it is connected to: an address, or a name that the front looks up."""
        if host.lower() == "localhost":
            return "127.0.0.1"  # as in lighttpd, also where it is ::1 as well
        try:
            return str(ipaddress.ip_address(host.removeprefix("[").removesuffix("]")))
        except ValueError:
            if not re.match(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})\Z", host):
                hint = 'the port has its own key: "port" => 9000' if ":" in host else ""
                self._report.error(places["host"], f'"{host}" is neither an IP address nor a host name', hint)
            return host

    def _mode(self, given: dict[str, Any], places: dict[str, Position]) -> Mode:
        mode = given.get("mode") or KEYS["mode"].default
        if mode == "authorizer":
            return "authorizer"
        if mode != "responder":
            choices = KEYS["mode"].choices
            hint = nearest(mode, choices) or f"it is one of {', '.join(choices)}"
            self._report.error(places["mode"], f'"{mode}" is no mode', hint)
        return "responder"

    def _converted(
        self, given: dict[str, Any], places: dict[str, Position], name: str, convert: Callable[[Any], Any]
    ) -> Any:
        """The value of a key that has its own syntax; ValueError has the reason."""
        if given.get(name) in (None, ""):
            return None
        try:
            return convert(given[name])
        except ValueError as error:
            self._report.error(places[name], str(error))
            return None

    def _absolute(self, given: dict[str, Any], places: dict[str, Position], name: str) -> str | None:
        path: str = given.get(name) or ""
        if path and not path.startswith("/"):
            self._report.error(places[name], f'"{name}" is an absolute path', f'"{path}" is not')
        return path or None

    def _directories(self, given: dict[str, Any], places: dict[str, Position], name: str) -> tuple[str, ...]:
        directories: tuple[str, ...] = given.get(name) or ()
        for directory in directories:
            if not directory.startswith("/"):
                self._report.error(
                    places[name], f'the directories of "{name}" are absolute', f'"{directory}" is not'
                )
        return directories


def _label(key: str) -> str:
    return key.strip("/.")


def _number(given: dict[str, Any], name: str, default: int | None = None) -> int:
    """A number as given; otherwise `default`, if it depends on other keys, or what the table says."""
    value = given.get(name)
    if value is None:
        value = KEYS[name].default if default is None else default
    return int(value)


def _switch(given: dict[str, Any], name: str, default: bool | None = None) -> bool:
    """A switch as given; otherwise `default`, if it depends on other keys, or what the table says."""
    value = given.get(name)
    if value is None:
        value = KEYS[name].default if default is None else default
    return bool(value)


def _slots(given: dict[str, Any], environment: tuple[tuple[str, str], ...], template: bool) -> int | None:
    """Requests that a process answers at once: as told, or PHP's children, or one if it is a template's."""
    if given.get("slots") is not None:
        return int(given["slots"])
    children = dict(environment).get("PHP_FCGI_CHILDREN", "").strip()
    if children.isascii() and children.isdigit() and int(children[:6]) > 0:
        return int(children[:6])
    return 1 if template else None
