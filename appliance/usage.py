"""What is wrong with a command line, in words: docopt refuses one by showing its own data.

An option that does not exist gets the nearest one that does; what docopt only knows as a mismatch is shown
with the usage.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

_OPTION = re.compile(r"Option\((?:None|'(-[^']+)'), (?:None|'(--[^']+)'),")
_ARGUMENT = re.compile(r"Argument\(None, (['\"])(.*?)\1\)")
_NAMES = re.compile(r"(?<![\w-])(--[a-z][a-z-]*|-[A-Za-z])\b")


def explain(refusal: str, words: Sequence[str], documented: str, asking: str) -> str:
    """The message for a person.

    `refusal` is docopt's (a line, then the usage), `words` is the command line, `documented` the help with
    its options, `asking` the command that shows it.
    """
    said, _, usage = refusal.partition("\n")
    if "unmatched" not in said:
        return refusal
    for short, long in _OPTION.findall(said):
        name = long or short
        if sum(word == name or word.startswith(f"{name}=") for word in words) > 1:
            return f"{name} is there twice; once is enough"
        known = sorted(set(_NAMES.findall(documented)))
        if name not in known:
            # Without the dashes, which would make all of them alike.
            bare = {option.lstrip("-"): option for option in known}
            near = difflib.get_close_matches(name.lstrip("-"), bare, n=1, cutoff=0.7)
            hint = f" (did you mean {bare[near[0]]}?)" if near else ""
            return f"there is no option {name}{hint}; `{asking}` lists them"
    extra = [value for _, value in _ARGUMENT.findall(said)]
    # With the command itself among them nothing matched at all: then no word is more wrong than another.
    if extra and words[0] not in extra:
        return f"{extra[-1]!r} has no place here\n{usage}"
    return f"this is not complete, or does not go together\n{usage}"
