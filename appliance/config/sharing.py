"""Which host entries are one pool: equal ones, and those that name the address of one that we start.

Entries stand in several keys and several blocks. The one with `bin-path` starts the application, wherever it
stands; the others join its pool and keep what concerns only their requests (check-local, docroot …). What
concerns processes is said once, where they are started.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

from appliance.config.diagnostic import Position, Report
from appliance.config.pools import PoolDefinition

_OF_A_REQUEST = (
    "mode",
    "docroot",
    "check_local",
    "broken_scriptfilename",
    "fix_root_scriptname",
    "strip_request_uri",
    "x_sendfile",
    "x_sendfile_docroots",
    "weight",
)
_NOT_COMPARED = {*_OF_A_REQUEST, "name", "position", "protocol", "socket", "host", "port"}
_OF_A_PROCESS = tuple(
    field for field in dataclasses.fields(PoolDefinition) if field.name not in _NOT_COMPARED
)
_KEYS = {"command": "bin-path", "environment": "bin-environment", "copy_environment": "bin-copy-environment"}
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class _Origin:
    label: str
    position: Position


class Sharing:
    """Collects the entries of all blocks; `settle` then makes the pools, in the order of the text."""

    def __init__(self, report: Report, user: str | None, group: str | None) -> None:
        """`user` and `group` are what entries have that name none."""
        self.pools: list[PoolDefinition] = []
        self._report = report
        self._inherited = {"user": user, "group": group}
        self._entries: dict[PoolDefinition, _Origin] = {}  # by what they are, without a name
        self._settled: dict[PoolDefinition, PoolDefinition] = {}

    def add(self, definition: PoolDefinition, label: str, position: Position) -> None:
        """An entry without a name; `label` is what its name is made of, `position` is its address in the
        text."""
        self._entries.setdefault(definition, _Origin(label, position))

    def settle(self) -> None:
        """Every entry has been added: name the pools, let entries join."""
        starters: dict[str, PoolDefinition] = {}
        for definition in self._entries:
            if definition.spawned:
                starters.setdefault(_address(definition), definition)
        joining = []
        for definition, origin in self._entries.items():
            starter = starters.get(_address(definition), definition)
            if starter is definition:
                pool = dataclasses.replace(definition, name=self._unique(origin.label))
                self._settled[definition] = pool
                self.pools.append(pool)
            elif self._may_join(definition, starter, origin):
                joining.append((definition, starter))
        for definition, starter in joining:
            own = {name: getattr(definition, name) for name in _OF_A_REQUEST}
            self._settled[definition] = dataclasses.replace(
                self._settled[starter], position=definition.position, **own
            )

    def pool(self, definition: PoolDefinition) -> PoolDefinition | None:
        """What an entry has become; None if it was reported."""
        return self._settled.get(definition)

    def _may_join(self, definition: PoolDefinition, starter: PoolDefinition, origin: _Origin) -> bool:
        address = _address(definition)
        if definition.protocol != starter.protocol:
            self._report.error(
                origin.position,
                f'the address "{address}" is used with FastCGI and with SCGI',
                f"the other one is in {starter.position}: an application speaks one of them",
            )
            return False
        differing = [
            _KEYS.get(field.name, field.name.replace("_", "-"))
            for field in _OF_A_PROCESS
            if getattr(definition, field.name) != getattr(starter, field.name)
            and (definition.spawned or self._given(definition, field))
        ]
        if not differing:
            return True
        names = ", ".join(f'"{name}"' for name in differing)
        if definition.spawned:
            self._report.error(
                origin.position,
                f'two hosts that are not the same share the address "{address}": they differ in {names}',
                f"the other one is in {starter.position}: make these equal, leave bin-path and what belongs "
                "to it out of one, or give each its own address",
            )
            return False
        self._report.notice(
            origin.position,
            f'{names} has no effect here: the application at "{address}" is started in {starter.position}',
            "write it there",
        )
        return True

    def _given(self, definition: PoolDefinition, field: dataclasses.Field[object]) -> bool:
        """Whether an entry without bin-path says something of its own about processes."""
        return bool(getattr(definition, field.name) != self._inherited.get(field.name, field.default))

    def _unique(self, label: str) -> str:
        """A name that no other pool has, fit for logs and file names."""
        wanted = _UNSAFE.sub("-", label).strip("-.") or "root"
        taken = {pool.name for pool in self.pools}
        name, number = wanted, 1
        while name in taken:
            number += 1
            name = f"{wanted}-{number}"
        return name


def _address(definition: PoolDefinition) -> str:
    return definition.socket or f"{definition.host}:{definition.port}"
