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

PROCESS_MIB = 64
"""What a Trac process may come to hold: 28 MiB of its own after a start from the template, and caches that
grow. A test measures one at work."""
RESERVED_MIB = 256
"""For the system, the front and the template."""
_FEWEST, _MOST = 2, 8


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
        return 1, max(_FEWEST, min(_MOST, 2 * self.cores, self.room))

    @property
    def room(self) -> int:
        """Trac processes that memory holds."""
        return max(0, self.memory - RESERVED_MIB) // PROCESS_MIB

    def ceiling(self, processes: tuple[int, int] | None) -> str:
        """Why that many processes may run; `processes` is what --processes says."""
        most = (processes or self.processes)[1]
        memory = f"{self.memory} MiB of memory hold {self.room} of {PROCESS_MIB} MiB"
        if processes is None:
            cores = f"{self.cores} core{'s' if self.cores > 1 else ''}"
            return f"at most {most}, for {cores}; {memory} (--processes changes it)"
        if most > max(self.room, _FEWEST):
            return f"at most {most}, as --processes says, but {memory}: the machine may swap"
        return f"at most {most}, as --processes says; {memory}"


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
