"""What a person may look up: each option and each key of a host entry, in words made from the tables.

`fcgibox help` prints it, docs/options.md is made from it. Options have a dot in their names and keys have
none, so that one name is enough to find either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from appliance.config.diagnostic import nearest
from appliance.config.host_keys import KEYS, Key
from appliance.config.options import ALWAYS_LOADED, SUBJECTS, Option, Type

_UNBOUNDED = 2**31 - 1
_PLACES = {
    "server": "outside of blocks",
    "socket": 'outside of blocks, or in $SERVER["socket"] == "…" { … }',
    "request": "anywhere, also in blocks",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """An option or a key in words; `module` is "" where nothing has to be listed in server.modules."""

    name: str
    meaning: str
    takes: str
    default: str
    written: str
    place: str
    module: str
    ours: bool
    remark: str  # what has no effect or is refused, and why; "" if every value does what it says
    without_effect: bool
    refuses: bool

    @property
    def is_key(self) -> bool:
        """Whether it stands in a host entry."""
        return "." not in self.name


@dataclass(frozen=True, slots=True)
class Topic:
    """Entries that belong together."""

    name: str
    title: str
    entries: tuple[Entry, ...]


def _entry(thing: Option | Key) -> Entry:
    if isinstance(thing, Option):
        place, module, remark = _PLACES[thing.scope], thing.module, _remark(thing)
        without_effect, refuses = bool(thing.without_effect), bool(thing.refused)
        written = f"{thing.name} = {_value(thing)}"
    else:
        place, module, remark = "a host entry of fastcgi.server or scgi.server", "", ""
        without_effect = refuses = False
        written = f'"{thing.name}" => {_value(thing)}'
    return Entry(
        thing.name,
        thing.meaning,
        _takes(thing),
        _default(thing.default),
        written,
        place,
        "" if module in ALWAYS_LOADED else module,
        thing.ours,
        remark,
        without_effect,
        refuses,
    )


def _takes(thing: Option | Key) -> str:
    if thing.choices:
        return _alternatives(f'"{choice}"' for choice in thing.choices)
    if thing.type is not Type.INTEGER:
        return str(thing.type.value)
    unit = f" of {thing.unit}" if thing.unit else ""
    if thing.maximum < _UNBOUNDED:
        return f"a number{unit}, {thing.minimum} to {thing.maximum}"
    return f"a number{unit}, at least {thing.minimum}" if thing.minimum else f"a number{unit}"


def _alternatives(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def _default(value: Any) -> str:
    if value is None:
        return "unset"
    if value == ():
        return "an empty list"
    return _literal(value)


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return '"enable"' if value else '"disable"'
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "( " + ", ".join(_literal(item) for item in value) + " )"


def _value(thing: Option | Key) -> str:
    """A value as it would stand in a configuration."""
    if thing.default not in (None, (), ""):
        return _literal(thing.default)
    if thing.type is Type.INTEGER:
        return str(max(1, thing.minimum))
    if thing.choices:
        return _literal(thing.choices[0])
    _, colon, example = thing.type.value.partition(": ")
    return example if colon else '"enable"'


def _remark(thing: Option) -> str:
    if thing.without_effect:
        return f"Has no effect here: {thing.without_effect}."
    if not thing.refused:
        return ""
    if "*" in thing.refused:
        return "Not supported yet: it can only be left unset, or have its default."
    values = _alternatives(_literal(value) for value in thing.refused)
    return f"Not supported yet: {values} is refused."


TOPICS = (
    *(Topic(subject.name, subject.title, tuple(map(_entry, subject.table))) for subject in SUBJECTS),
    Topic("hosts", "Keys of a host entry", tuple(map(_entry, KEYS.values()))),
)
"""Everything, in the order of the page."""

ENTRIES = {entry.name: entry for topic in TOPICS for entry in topic.entries}
"""Every option and every key by its name."""


def suggestion(name: str) -> str:
    """`did you mean "…"?` for a name that is nearly an option, a key or a topic, otherwise nothing."""
    return nearest(name.replace("_", "-"), [*ENTRIES, *(topic.name for topic in TOPICS)])
