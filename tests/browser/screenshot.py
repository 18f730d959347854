"""python -m tests.browser.screenshot FILE.png: the first page of a new Trac, as the README shows it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from tests.box import Box
from tests.browser.chromium import chromium


def main(target: str) -> None:
    place = Path(tempfile.mkdtemp(prefix="fcgibox-", dir="/tmp"))
    place.chmod(0o755)
    try:
        with Box(place / "box") as box, chromium(place / "browser", size=(1100, 720)) as browser:
            # As root a new environment belongs to the unprivileged user that serves it.
            (place / "site").mkdir()
            box.recipe("trac", "--env", place / "site" / "trac", "--demo")
            browser.get(box.url)
            assert browser.save_screenshot(target), f"cannot write {target}"
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
