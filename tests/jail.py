"""A directory that can be a root: with programs and the libraries that they need, and nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

PHP = "/usr/bin/php-cgi"


def furnish(root: Path, *programs: str) -> Path:
    """Make it the root of these programs, each at the path it has outside; the directory."""
    for name in ("dev", "tmp", "var/tmp", "www"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    (root / "var/tmp").chmod(0o1777)
    for program in programs:
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        for path in (program, *re.findall(r"(/\S+) \(0x", listed)):
            target = root / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    return root
