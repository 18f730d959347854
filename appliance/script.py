"""Shell scripts that start this program, for web servers that want a file to execute.

Apache's mod_fcgid takes a file without arguments, LiteSpeed and old lighttpd configurations name a trac.fcgi.
The script says with which options; the web server puts the listening socket on standard input.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

from appliance.errors import UserError
from appliance.program import command

_MARK = "# fcgibox wrote this script"
_TEXT = """#!/bin/sh
{mark}: it serves an application over {protocol}.
# A web server starts it, with the listening socket on standard input.
{before}exec {command}
"""


def text(words: Sequence[str], before: str = "", protocol: str = "FastCGI") -> str:
    """The script that runs `fcgibox WORDS…`, after the lines `before`."""
    program = command()
    # The package run from its source is only found where it is.
    if program[1:2] == ["-m"]:
        source = shlex.quote(str(Path(__file__).resolve().parents[1]))
        before += f"PYTHONPATH={source}${{PYTHONPATH:+:$PYTHONPATH}}\nexport PYTHONPATH\n"
    return _TEXT.format(mark=_MARK, protocol=protocol, before=before, command=shlex.join([*program, *words]))


def write(path: Path, content: str) -> None:
    """Write `content` as an executable file, at once or not at all. Raises UserError.

    A file that is there and is not such a script is left alone.
    """
    try:
        if path.exists() and _MARK not in path.read_text("utf-8", "replace"):
            raise UserError(
                f"{path} exists and is not a script of ours; it is left alone. "
                "Choose another name, or remove it first"
            )
        number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(content)
                os.fchmod(file.fileno(), 0o755)
            os.replace(name, path)
        except OSError:
            os.unlink(name)
            raise
    except OSError as error:
        hint = f"; make the directory first: mkdir -p {path.parent}" if not path.parent.is_dir() else ""
        raise UserError(f"cannot write {path}: {error.strerror}{hint}") from None
