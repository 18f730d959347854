"""What the recipe needs to know about this machine, in one value: tests give their own."""

from __future__ import annotations

import importlib.util
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from appliance import program
from appliance.errors import UserError

DATABASE_VERSION = 45
"""The schema of the Trac we bundle (1.6); a test compares it with Trac's own."""

_PROCESS_MIB = 64  # what a Trac process may come to hold; 28 MiB of its own after a start from the template
_RESERVED_MIB = 256  # for the system, the front and the template


@dataclass(frozen=True, slots=True)
class Machine:
    """Facts, looked up once at the start."""

    program: tuple[str, ...]
    """The command that starts us."""
    htdocs: str
    """The bundled Trac's style sheets, scripts and images."""
    spool: str
    """Where request bodies wait."""
    cores: int
    memory: int
    """MiB."""

    @property
    def processes(self) -> tuple[int, int]:
        """How few and how many Trac processes suit this machine."""
        room = (self.memory - _RESERVED_MIB) // _PROCESS_MIB
        return 1, max(2, min(8, 2 * self.cores, room))


def look() -> Machine:
    """The machine we run on. Raises UserError if Trac is not installed."""
    return Machine(
        program=tuple(program.command()),
        htdocs=os.path.realpath(trac_package() / "htdocs"),
        spool="/var/tmp" if os.access("/var/tmp", os.W_OK | os.X_OK) else tempfile.gettempdir(),
        cores=len(os.sched_getaffinity(0)),
        memory=_memory(),
    )


def trac_package() -> Path:
    """Where the bundled Trac is; it is not imported."""
    spec = importlib.util.find_spec("trac")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("Trac is not installed beside this program: pip install 'Trac==1.6' 'setuptools<81'")
    return Path(spec.submodule_search_locations[0])


def _memory() -> int:
    """MiB of memory, or of the control group's limit where that is lower."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        limit = "max"
    if re.fullmatch(r"[0-9]+", limit):
        total = min(total, int(limit))
    return total >> 20
