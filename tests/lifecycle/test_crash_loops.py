"""What `fcgibox status` says of a pool whose program does not come up, and what happens once it does."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.box import Box
from tests.lifecycle.sites import SCRIPTED, serve_scripted
from tests.waiting import until

BROKEN = f"#!{sys.executable}\nimport sys\nprint('no such table: wiki', file=sys.stderr)\nsys.exit(3)\n"


def test_the_reason_the_last_words_and_the_next_try(box: Box, place: Path) -> None:
    program = serve_scripted(box, place, program=BROKEN)
    until(lambda: box.pools()["app"]["state"] == "failing", 20, "it does not fail", box.log)
    until(lambda: box.pools()["app"]["next_try"] is not None)
    pool = box.pools()["app"]
    assert pool["last_exit"]["reason"] == "exit status 3"
    assert pool["last_exit"]["stderr"] == ["no such table: wiki"]
    text = box.control("status").stdout
    until(lambda: "the next try is in" in box.control("status").stdout)
    assert "pool app: failing" in text and "exit status 3, its last words:\n    no such table: wiki" in text
    assert box.get("/app").status == 503
    program.write_text(SCRIPTED.read_text())
    done = box.control("restart", "app")
    assert done.returncode == 0, done.stderr
    assert box.pools()["app"]["state"] == "running"
    assert box.get("/app").status == 200
