"""`python -m tests.soak`: 200,000 requests in 10 minutes. Loopback only; it ends by itself.

Usage: soak [options]

Options:
  --requests=N      how many requests [default: 200000]
  --seconds=S       spread over so many seconds; a slow machine takes up to twice as long [default: 600]
  --seed=N          the same clients, kills and reloads again [default: 1]
  --clients=N       visitors at a time [default: 16]
  --processes=N     application processes, one slot each [default: 4]
  --kill-every=S    seconds between two kills, on average [default: 4]
  --reload-every=S  seconds between two reloads, in the first and the last tenth [default: 10]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from docopt import docopt

from tests.box import Box
from tests.soak.run import Plan, run


def main() -> int:
    """Run, print the report; 1 if a rule was broken."""
    given = docopt(__doc__)
    plan = Plan(
        int(given["--requests"]),
        float(given["--seconds"]),
        int(given["--seed"]),
        int(given["--clients"]),
        int(given["--processes"]),
        float(given["--kill-every"]),
        float(given["--reload-every"]),
    )
    with tempfile.TemporaryDirectory(prefix="fcgibox-soak-", dir="/tmp") as name:
        place = Path(name)
        place.chmod(0o755)
        with Box(place / "box") as box:
            try:
                report = run(plan, box, place)
            finally:
                kept = Path(tempfile.gettempdir()) / f"fcgibox-soak-{plan.seed}.log"
                kept.write_text(box.log())
                print(f"the server's log: {kept}")
    print(report.text())
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
