"""Random schedules of front, supervisor and applications with a seeded clock.

Usage: simulation [options]

Options:
  --seed=N       the first seed [default: 1]
  --schedules=N  how many, one seed after the other [default: 1]
"""

from __future__ import annotations

import sys
import time

from docopt import docopt

from tests.simulation.world import simulate


def main() -> int:
    """Run them; 1 and the trace at the first that fails."""
    given = docopt(__doc__)
    first, count = int(given["--seed"]), int(given["--schedules"])
    started = time.monotonic()
    for seed in range(first, first + count):
        try:
            simulate(seed)
        except AssertionError as error:
            print(error)
            return 1
    print(f"{count} schedules hold, {count / (time.monotonic() - started):.0f} a second")
    return 0


if __name__ == "__main__":
    sys.exit(main())
