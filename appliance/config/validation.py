"""Scopes against the option table: every name is known, every value has its type and may stand where it is.

The result are plain values by option name for the outermost scope and for each condition block, ready for
merging. What would be ignored silently elsewhere (an option of a module that is not listed, a typo) is an
error here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from appliance.config import foreign, url_rules
from appliance.config.authentication import auth_rules
from appliance.config.checking import checked
from appliance.config.diagnostic import Position, Report, nearest
from appliance.config.evaluation import Assigned, Scope
from appliance.config.foreign import FOREIGN_BACKENDS, FOREIGN_MODULES
from appliance.config.hosts import Hosts
from appliance.config.listener import socket_permissions
from appliance.config.options import (
    ALWAYS_LOADED,
    MODULES,
    OPTIONS,
    Option,
    Type,
)
from appliance.config.pools import PoolDefinition
from appliance.config.values import Array, Value

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FRAMING = {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}
_GATEWAYS = ("fastcgi.server", "scgi.server")


class Validation:
    """Checks all scopes; `values[i]` are those of `scopes[i]`, `pools` the distinct host entries."""

    def __init__(self, scopes: list[Scope], report: Report) -> None:
        self.values: list[dict[str, Any]] = []
        self._report = report
        self._scopes = scopes
        self._modules = self._loaded(scopes[0].values.get("server.modules"))
        self._hosts = Hosts(report, self._identity("server.username"), self._identity("server.groupname"))
        for scope in scopes:
            self.values.append(self._scope(scope))
        self._hosts.settle(self.values)
        self._check_mappings()
        self._check_password_files()

    @property
    def pools(self) -> tuple[PoolDefinition, ...]:
        """The distinct pools of all scopes, in the order of the text."""
        return tuple(self._hosts.pools)

    def _identity(self, name: str) -> str | None:
        """A user or group that applications get unless they have their own; its type is checked later."""
        assigned = self._scopes[0].values.get(name)
        content = assigned.value.content if assigned is not None else None
        return content if isinstance(content, str) and content else None

    def _loaded(self, assigned: Assigned | None) -> frozenset[str]:
        """The modules whose options may be used; what cannot be loaded is reported."""
        if assigned is None:
            return ALWAYS_LOADED
        if not isinstance(assigned.value.content, Array):
            return MODULES  # reported; without the list no option can be said to lack its module
        loaded = set(ALWAYS_LOADED)
        for element in assigned.value.content:
            name = element.value.content
            if not isinstance(name, str):
                continue
            if name in FOREIGN_MODULES:
                reason = f'"{name}" is not supported yet; without its options the server can do without it'
                self._report.notice(element.position, reason, once=name)
            elif name not in MODULES:
                hint = (
                    nearest(name, [*MODULES, *FOREIGN_MODULES]) or f"there are {', '.join(sorted(MODULES))}"
                )
                self._report.error(element.position, f'there is no module "{name}"', hint)
            loaded.add(name)
        return frozenset(loaded)

    def _scope(self, scope: Scope) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, assigned in scope.values.items():
            if assigned.failed:
                continue
            option = OPTIONS.get(name)
            if option is None:
                self._unknown(name, assigned.position)
                continue
            self._check_place(option, scope, assigned.position)
            self._check_module(option, assigned.position)
            value = self._value(option, assigned.value, scope)
            if value is not None and self._allowed(option, value, assigned):
                found[name] = value
        url_rules.complete(found)
        return found

    def _value(self, option: Option, value: Value, scope: Scope) -> Any:
        if option.type is Type.GATEWAY:
            return self._hosts.rules(option.name, value, "scgi" if option.module == "mod_scgi" else "fastcgi")
        if option.type is Type.AUTHENTICATION:
            return auth_rules(value, self._report)
        if option.type is Type.URL_RULES:
            return url_rules.url_rules(value, option.name, scope, self._report)
        return checked(value, option.type, option.name, self._report, option.minimum, option.maximum)

    def _allowed(self, option: Option, value: Any, assigned: Assigned) -> bool:
        """Whether a value of the right type can be had."""
        position = assigned.value.position
        if option.without_effect:
            self._report.notice(
                assigned.position,
                f"{option.name} has no effect here: {option.without_effect}",
                once=option.name,
            )
        if value in option.refused or ("*" in option.refused and value not in (option.default, "", ())):
            shown = {True: "enable", False: "disable"}.get(value, value) if isinstance(value, bool) else value
            reason = f'{option.name} = "{shown}" is not supported yet' if len(str(shown)) < 40 else ""
            self._report.error(position, reason or f"{option.name} is not supported yet", option.meaning)
            return False
        if option.choices and value not in option.choices:
            hint = nearest(str(value), option.choices) or f"it is one of {', '.join(option.choices)}"
            known = option.name == "auth.backend" and value in FOREIGN_BACKENDS
            reason = (
                f'{option.name} = "{value}" is not supported yet'
                if known
                else f'{option.name} cannot be "{value}"'
            )
            self._report.error(position, reason, hint)
            return False
        return self._check_content(option, assigned)

    def _check_content(self, option: Option, assigned: Assigned) -> bool:
        """What the types cannot say."""
        value = assigned.value
        if option.name == "alias.url":
            self._check_aliases(value)
        if option.name in ("setenv.add-response-header", "setenv.set-response-header"):
            self._check_fields(value)
        if option.name in ("accesslog.filename", "server.errorlog") and str(value.content).startswith("|"):
            self._report.error(value.position, "logging into a command is not supported yet", "name a file")
            return False
        if option.name == "server.chroot" and value.content and not str(value.content).startswith("/"):
            self._report.error(value.position, "server.chroot is an absolute path")
            return False
        if option.name == "server.socket-perms" and value.content:
            try:
                socket_permissions(str(value.content))
            except ValueError as error:
                self._report.error(value.position, str(error))
                return False
        return True

    def _check_fields(self, value: Value) -> None:
        """What begins or ends a message is not a matter of a configuration."""
        for element in value.content if isinstance(value.content, Array) else ():
            name = element.key or ""
            if name.lower() in _FRAMING:
                reason = f"{name} is a field that the server sets itself"
                hint = "server.tag is what Server says" if name.lower() == "server" else "leave it out"
                self._report.error(element.position, reason, hint)
            elif not _TOKEN.fullmatch(name) or not str(element.value.content).isprintable():
                reason = f'"{name}" is no name of a header field, or has a value that is none'
                self._report.error(element.position, reason, 'a field is written "X-Name" => "value"')

    def _check_aliases(self, value: Value) -> None:
        """The first prefix that fits counts, so one that goes on after an earlier one is never reached."""
        seen: list[str] = []
        for element in value.content if isinstance(value.content, Array) else ():
            key = element.key or ""
            hider = next((earlier for earlier in seen if key.startswith(earlier)), None)
            if hider is not None:
                reason = f'the alias "{key}" is never used: "{hider}" stands before it and fits first'
                self._report.error(element.position, reason, "put the longer one first")
            seen.append(key)

    def _check_place(self, option: Option, scope: Scope, position: Position) -> None:
        if option.scope == "request" or scope.index == 0:
            return
        if option.scope == "server":
            self._report.error(
                position, f"{option.name} counts for the whole server", "set it outside of condition blocks"
            )
        elif scope.condition is None or scope.condition.test.field != "socket":
            self._report.error(
                position,
                f"{option.name} counts for a listening socket",
                'set it outside of blocks, or in one that begins with $SERVER["socket"] ==',
            )

    def _check_module(self, option: Option, position: Position) -> None:
        if not option.module or option.module in self._modules:
            return
        if option.module == "mod_authn_file" and "mod_auth" in self._modules:
            reason = f"{option.name} belongs to mod_authn_file, which server.modules does not list"
            self._report.notice(position, reason, _adding("mod_authn_file"), once="mod_authn_file")
            return
        self._report.error(
            position,
            f"{option.name} belongs to {option.module}, which server.modules does not list",
            _adding(option.module),
        )

    def _unknown(self, name: str, position: Position) -> None:
        if why := foreign.reason(name):
            self._report.error(position, f"{name} {why}")
            return
        self._report.error(position, f'there is no option "{name}"', nearest(name, OPTIONS))

    def _all(self, name: str) -> Iterable[tuple[Scope, Any]]:
        for scope, values in zip(self._scopes, self.values, strict=True):
            if name in values:
                yield scope, values[name]

    def _check_password_files(self) -> None:
        """A rule without a password file would answer every request with an error."""
        scope = next((scope for scope, rules in self._all("auth.require") if rules), None)
        if scope is None:
            return
        position = scope.values["auth.require"].position
        backends = {backend for _, backend in self._all("auth.backend")}
        if not backends:
            self._report.error(
                position, "nobody could log in: auth.backend is not set", 'auth.backend = "htpasswd"'
            )
        for backend in sorted(backends):
            name = f"auth.backend.{backend}.userfile"
            if not any(True for _ in self._all(name)):
                self._report.error(
                    position, f"nobody could log in: {name} is not set", f'{name} = "/path/to/file"'
                )

    def _check_mappings(self) -> None:
        """An end of a path that counts as a key which nowhere exists would be passed over."""
        for gateway in _GATEWAYS:
            name = gateway.replace(".server", ".map-extensions")
            keys = {rule.key for _, rules in self._all(gateway) for rule in rules}
            for scope, pairs in self._all(name):
                for end, key in pairs:
                    if key not in keys:
                        position = scope.values[name].value.position
                        hint = nearest(key, keys) or f'{gateway} = ( "{key}" => (( … )) )'
                        self._report.error(
                            position, f'"{end}" counts as "{key}", which is no key of {gateway}', hint
                        )


def _adding(module: str) -> str:
    return f'add the line: server.modules += ( "{module}" )'
