"""One target with atheris, coverage-guided: `python -m tests.fuzz fastcgi -max_total_time=60`.

The options after the target are libFuzzer's. atheris comes from PyPI and is needed here only (`make fuzz`
installs it into an environment of its own). The first octet says how the rest is cut.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["appliance"]):
    from tests.fuzz.corpus import SEEDS, WORDS
    from tests.fuzz.targets import TARGETS


def _quoted(word: bytes) -> str:
    """A line of libFuzzer's dictionary."""
    return '"' + "".join(f"\\x{octet:02x}" for octet in word) + '"\n'


def main() -> None:
    """Run until libFuzzer ends."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: python -m tests.fuzz {'|'.join(TARGETS)} [libFuzzer options]")
    name = sys.argv.pop(1)
    target = TARGETS[name]

    def one(data: bytes) -> None:
        if data:
            target(data[1:], [data[0] % 16 + 1, data[0] // 16 + 1])

    with tempfile.TemporaryDirectory() as directory:
        corpus = Path(directory) / "corpus"
        corpus.mkdir()
        for number, seed in enumerate(SEEDS[name]):
            (corpus / str(number)).write_bytes(b"\x31" + seed)
        words = Path(directory) / "words"
        words.write_text("".join(_quoted(word) for word in WORDS))
        atheris.Setup([*sys.argv, f"-dict={words}", str(corpus)], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
