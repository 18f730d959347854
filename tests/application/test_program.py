"""How the program starts itself again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.box import clean_environment

_ASK = "import json, os; from appliance.program import command; os.chdir('/'); print(json.dumps(command()))"


def _ask(*words: str | Path, cwd: Path) -> list[str]:
    done = subprocess.run(
        words, capture_output=True, text=True, cwd=cwd, env=clean_environment(), check=True, timeout=30
    )
    return [str(word) for word in json.loads(done.stdout)]


def test_as_an_installed_script(place: Path) -> None:
    script = place / "fcgibox"
    script.write_text(f"#!{sys.executable}\n{_ASK}\n")
    script.chmod(0o755)
    assert _ask("./fcgibox", cwd=place) == [str(script)], "also when the directory has changed"


def test_as_a_package(place: Path) -> None:
    assert _ask(sys.executable, "-c", _ASK, cwd=place) == [sys.executable, "-m", "appliance"]
    assert os.path.isabs(sys.executable)


def test_frozen(place: Path) -> None:
    ask = f"import sys; sys.frozen = True; {_ASK}"
    assert _ask(sys.executable, "-c", ask, cwd=place) == [sys.executable]
