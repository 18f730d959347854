"""Reading trac.ini, and never writing it.

Only what the recipe must know is read, with the rules of Trac's own parser that matter for it: `[inherit]
file` (later files count less), UTF-8 with or without a mark, no interpolation. The file belongs to the
project, not to us: it may be anything, so it is opened without waiting and its content is never quoted in
a message.
"""

from __future__ import annotations

import configparser
import io
import os
import stat
from pathlib import Path

from appliance.errors import UserError

_LARGEST = 4 << 20
_DEEPEST = 8
_TRUE = frozenset(("yes", "true", "enabled", "on", "aye", "1"))


class TracIni:
    """The options of one environment."""

    def __init__(self, path: Path) -> None:
        """Raises UserError if the file cannot be read or understood."""
        self.path = path
        self._layers: list[tuple[Path, configparser.RawConfigParser]] = []
        self._add(path, 0)

    def text(self, section: str, option: str, default: str = "") -> str:
        """The value, stripped."""
        return self._find(section, option)[0] if self.has(section, option) else default

    def integer(self, section: str, option: str, default: int) -> int:
        """The value, or the default where it is no number."""
        try:
            return int(self.text(section, option))
        except ValueError:
            return default

    def directory(self, section: str, option: str) -> Path | None:
        """A path; a relative one counts from the file that says it."""
        if not self.has(section, option):
            return None
        value, origin = self._find(section, option)
        return Path(os.path.normpath(origin.parent / value)) if value else None

    def has(self, section: str, option: str) -> bool:
        """Whether any of the files says it."""
        return any(parser.has_option(section, option) for _, parser in self._layers)

    def options(self, section: str) -> dict[str, str]:
        """All options of a section."""
        found: dict[str, str] = {}
        for _, parser in self._layers:
            if parser.has_section(section):
                for option, value in parser.items(section):
                    found.setdefault(option, (value or "").strip())
        return found

    def enabled(self, section: str, option: str) -> bool:
        """A boolean as Trac reads it; unset is false."""
        return self.text(section, option).lower() in _TRUE

    def _find(self, section: str, option: str) -> tuple[str, Path]:
        for path, parser in self._layers:
            if parser.has_option(section, option):
                return (parser.get(section, option) or "").strip(), path
        raise KeyError((section, option))

    def _add(self, path: Path, depth: int) -> None:
        parser = configparser.RawConfigParser(strict=False, allow_no_value=True, default_section="\0")
        try:
            parser.read_file(io.StringIO(_read(path)))
        except configparser.Error as error:
            line = getattr(error, "lineno", None)
            where = f"{path}, line {line}" if line else str(path)
            raise UserError(
                f"{where}: this is not a trac.ini that can be read ({type(error).__name__})"
            ) from None
        self._layers.append((path, parser))
        if depth < _DEEPEST and parser.has_option("inherit", "file"):
            for name in (parser.get("inherit", "file") or "").split(","):
                if name.strip():
                    self._add(path.parent / name.strip(), depth + 1)


def _read(path: Path) -> str:
    try:
        # A named pipe in the place of the file must not make us wait.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UserError(f"{path} is not a file")
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    if len(content) > _LARGEST:
        raise UserError(f"{path} is larger than {_LARGEST >> 20} MiB; that is no trac.ini")
    return content.decode("utf-8-sig", "replace")
