"""`fcgibox help`: what an option of the configuration means, what there is, what a command takes."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator

from docopt import docopt

from appliance.config import foreign
from appliance.config.reference import ENTRIES, TOPICS, Entry, suggestion
from appliance.errors import UserError

USAGE = """Explain an option of the configuration, a key of a host entry, or a command.

Usage:
  fcgibox help [NAME]
  fcgibox help -h | --help

NAME is an option (fastcgi.balance), the beginning of some (fastcgi.), a key of a host entry
(check-local), a topic, or a command. Without it the topics are listed.
"""

_WIDEST = 100


def run(argv: list[str]) -> int:
    """Print one explanation; the exit status is 1 if there is nothing of that name."""
    name = docopt(USAGE, argv=argv)["NAME"]
    for line in _topics() if name is None else _explanation(str(name)):
        print(line)
    return 0


def _explanation(name: str) -> Iterable[str]:
    if name in ENTRIES:
        return _entry(ENTRIES[name])
    for topic in TOPICS:
        if topic.name == name:
            return [f"{topic.title}:", "", *_list((entry.name, entry.meaning) for entry in topic.entries)]
    below = [entry for entry in ENTRIES.values() if entry.name.startswith(name.rstrip(".") + ".")]
    if below:
        return _list((entry.name, entry.meaning) for entry in below)
    if why := foreign.reason(name):
        raise UserError(f"{name} is an option of lighttpd's and {why}")
    near = suggestion(name)
    raise UserError(
        f'nothing is called "{name}"' + (f"; {near}" if near else "; `fcgibox help` lists the topics")
    )


def _topics() -> Iterator[str]:
    yield "`fcgibox help NAME` explains an option of the configuration, a key of a host"
    yield "entry or a command, or lists a topic:"
    yield ""
    yield from _list((topic.name, f"{topic.title} ({len(topic.entries)})") for topic in TOPICS)
    yield ""
    yield "For example: fcgibox help fastcgi.server, fcgibox help check-local"


def _entry(entry: Entry) -> Iterator[str]:
    owner = "ours" if entry.ours else "lighttpd's"
    yield f"{entry.name} ({'a key' if entry.is_key else 'an option'}, {owner})"
    yield ""
    yield from textwrap.wrap(entry.meaning, _width() - 2, initial_indent="  ", subsequent_indent="  ")
    if entry.remark:
        yield from textwrap.wrap(entry.remark, _width() - 2, initial_indent="  ", subsequent_indent="  ")
    yield ""
    yield from _list(
        pair
        for pair in (
            ("takes", entry.takes),
            ("default", entry.default),
            ("stands", entry.place),
            ("needs", f'server.modules += ( "{entry.module}" )' if entry.module else ""),
            ("written", entry.written),
        )
        if pair[1]
    )


def _list(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Names in one column, what is said of them in another, as wide as the terminal."""
    rows = list(pairs)
    column = min(max(len(name) for name, _ in rows), 32) + 4
    for name, text in rows:
        first, *more = textwrap.wrap(text, max(30, _width() - column), break_long_words=False) or [""]
        if len(name) + 4 > column:
            yield f"  {name}"
            yield f"{'':{column}}{first}"
        else:
            yield f"  {name:{column - 2}}{first}"
        for line in more:
            yield f"{'':{column}}{line}"


def _width() -> int:
    return min(shutil.get_terminal_size().columns, _WIDEST)
