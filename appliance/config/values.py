"""Values before they are checked against the option table: text, number, array, each with its place.

Arrays keep their order, elements may have a key; a key stands once in an array, as in lighttpd.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from appliance.config.diagnostic import Position

# A configuration that doubles a value in a loop of includes must end in a message, not in swap.
LARGEST_TEXT = 1 << 20
LARGEST_ARRAY = 100_000


class MergeError(Exception):
    """Two values that `+` cannot join; says why and, if it is about an element, where."""

    def __init__(self, reason: str, position: Position | None = None) -> None:
        super().__init__(reason)
        self.position = position


@dataclass(frozen=True, slots=True)
class Element:
    """One element of an array; `position` is the key's if it has one, else the value's."""

    key: str | None
    value: Value
    position: Position


@dataclass(frozen=True, slots=True)
class Array:
    """The elements of `( … )` in order."""

    elements: tuple[Element, ...] = ()

    def __iter__(self) -> Iterator[Element]:
        return iter(self.elements)

    def __len__(self) -> int:
        return len(self.elements)

    def get(self, key: str) -> Element | None:
        """The element with that key."""
        return next((element for element in self.elements if element.key == key), None)


Content: TypeAlias = "str | int | Array"


@dataclass(frozen=True, slots=True)
class Value:
    """What an expression yields, and where it stands."""

    content: Content
    position: Position

    @property
    def kind(self) -> str:
        """How a message calls its type."""
        if isinstance(self.content, Array):
            return "an array"
        return "a number" if isinstance(self.content, int) else "a string"


def array(elements: list[Element]) -> Array:
    """An array of these elements; raises MergeError if a key stands twice."""
    if len(elements) > LARGEST_ARRAY:
        raise MergeError(f"an array has at most {LARGEST_ARRAY} elements")
    seen: set[str] = set()
    for element in elements:
        if element.key is None:
            continue
        if element.key in seen:
            raise MergeError(f'the key "{element.key}" stands twice in this array', element.position)
        seen.add(element.key)
    return Array(tuple(elements))


def join(left: Value, right: Value) -> Value:
    """`left + right`: numbers add, arrays append, a number beside a string becomes one. Raises MergeError."""
    first, second = left.content, right.content
    if isinstance(first, Array) or isinstance(second, Array):
        if not (isinstance(first, Array) and isinstance(second, Array)):
            raise MergeError(f"{left.kind} and {right.kind} cannot be joined by +")
        return Value(array([*first, *second]), left.position)
    if isinstance(first, int) and isinstance(second, int):
        return Value(first + second, left.position)
    text = f"{first}{second}"
    if len(text) > LARGEST_TEXT:
        raise MergeError(f"a string has at most {LARGEST_TEXT} characters")
    return Value(text, left.position)
