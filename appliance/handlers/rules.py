"""Which rule of `fastcgi.server` or `scgi.server` takes a request; `hosts` says which of its hosts gets it.

As in lighttpd: first the ends of `map-extensions`, then the keys, each in the order of the text.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from appliance.config import GatewayRule, PoolDefinition, Settings
from appliance.config.pools import Mode
from appliance.config.regex import compile_pattern
from appliance.gateway.environment import Split, split_match, split_physical, split_prefix
from appliance.handlers.hosts import Hosts

if TYPE_CHECKING:
    from appliance.handlers.physical import Physical
    from appliance.handlers.scope import Services


class Rule:
    """A key and its hosts."""

    __slots__ = ("_key", "_pattern", "by_url", "definitions", "hosts", "is_duplex", "needle", "takes")

    def __init__(self, rule: GatewayRule, balance: str, settings: Settings, services: Services) -> None:
        key = self._key = rule.key
        self.definitions = rule.pools
        self.is_duplex = any(pool.upgrade or pool.tcp_fin_propagate for pool in rule.pools)
        self.hosts = Hosts(rule, balance, settings, services)
        self._pattern = pattern = compile_pattern(key[1:]) if key.startswith("~") else None
        self.by_url = not rule.pools[0].check_local
        self.needle = "" if pattern is not None else key  # what every path has that this rule takes
        self.takes: Callable[[str], bool]  # whether this rule takes a path
        if pattern is not None:
            self.takes = lambda path: pattern.search(path) is not None
        elif key.startswith("/"):
            self.takes = lambda path: path.startswith(key)  # as a string, not by segments
        else:
            self.takes = lambda path: path.endswith(key)

    def is_traced(self, settings: Settings) -> bool:
        """Whether fastcgi.debug or scgi.debug of a scope is about it."""
        return settings.integer(f"{self.definitions[0].protocol}.debug") > 0

    def also(self, end: str) -> Rule:
        """The same rule for paths with another end; hosts and their turns are shared."""
        rule = copy.copy(self)
        rule.needle = end
        rule.takes = lambda path: path.endswith(end)
        return rule

    def split(self, definition: PoolDefinition, path: str, root: str) -> Split:
        """How a path that no file was looked for divides into script and rest."""
        if self._pattern is not None:
            found = self._pattern.search(path)
            if found is not None:
                return split_match(definition, found.end(), path, root)
        return split_prefix(definition, self._key, path, root)


def split_found(definition: PoolDefinition, found: Physical) -> Split:
    """How a path divides at the file that was found."""
    return split_physical(definition, found.url_path, found.path_info, found.path, found.root)


def rules(settings: Settings, services: Services, mode: Mode) -> Iterator[Rule]:
    """The rules of one scope in the order in which they are asked, with their hosts of one mode."""
    for gateway in ("fastcgi", "scgi"):
        balance = settings.string(f"{gateway}.balance")
        found = [
            (rule.key, Rule(GatewayRule(rule.key, pools), balance, settings, services))
            for rule in settings.rules(f"{gateway}.server")
            if (pools := tuple(pool for pool in rule.pools if pool.mode == mode))
        ]
        by_key = dict(found)
        for end, key in settings.pairs(f"{gateway}.map-extensions"):
            if key in by_key:  # it may be a key of another scope
                yield by_key[key].also(end)
        for _, rule in found:
            yield rule
