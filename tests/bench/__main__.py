"""python -m tests.bench [--rounds N] [--seconds S]: measure everything and print Markdown tables.

Servers are measured in turn, A B C A B C, so that what else happens on the machine meets all of them; each
figure is the median over the rounds. Compare the ratios: absolute rates belong to this machine and this
minute.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests import processes, trac_projects
from tests.bench import others, site
from tests.bench.first_byte import extra_wait
from tests.bench.load import Burst, burst
from tests.bench.peer import Peer, recipe, tracs_own, web_servers
from tests.http_client import Wire

IDLE_CONNECTIONS = 2000
WARM_PAGES = (
    "/wiki",
    "/wiki/Page1",
    "/ticket/1",
    "/ticket/5",
    "/timeline",
    "/report/1",
    "/query",
    "/roadmap",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of each burst")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    place = Path(tempfile.mkdtemp(prefix="fcgibox-bench-", dir="/tmp"))
    place.chmod(0o755)
    try:
        print(f"{os.cpu_count()} processors, Linux {platform.release()}, Python {platform.python_version()}; "
              f"median of {options.rounds} rounds of {options.seconds} s\n")  # fmt: skip
        files_and_php(place, options.rounds, options.seconds)
        first_byte(place)
        trac_pages(place, options.rounds, options.seconds)
        trac_memory(place)
        what_others_feel(place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def files_and_php(place: Path, rounds: int, seconds: int) -> None:
    """Small static files, two PHP pages, idle connections: four servers."""
    site.write(place / "root")
    work = (
        ("static file of 1 kB", "/small.html"),
        ("PHP, shortest answer", "/hello.php"),
        ("PHP, a table", "/table.php"),
    )
    with web_servers(place, place / "root") as peers:
        print("Answers per second and the front's CPU time per answer, 32 kept connections:\n")
        _header("work", [peer.name for peer in peers])
        # Before any load: memory that a load has left behind would hide what a connection takes.
        _row("an idle kept connection", [f"{idle_cost(peer):.1f} kB" for peer in peers])
        for label, target in work:
            bursts = in_turn(peers, target, 32, rounds, seconds)
            _row(label, [f"{b.rate:,.0f}/s, {b.cost:.0f} µs" for b in bursts])
    print()


def first_byte(place: Path) -> None:
    """The first octet of a streamed answer: straight from the application, and through us."""
    direct, through = extra_wait(place)
    print("Median time to the first octet of a streamed answer:\n")
    _header("", ["straight from the application", "through fcgibox", "more"])
    _row("event stream", [f"{direct:.2f} ms", f"{through:.2f} ms", f"{through - direct:.2f} ms"])
    print()


def trac_pages(place: Path, rounds: int, seconds: int) -> None:
    """Trac in two processes: a wiki page, a ticket, the style sheet."""
    projects = trac_projects.copied(place / "site")
    work = (
        ("the wiki's start page", "/trac/wiki", 4),
        ("a longer wiki page", "/trac/wiki/Page1", 4),
        ("ticket", "/trac/ticket/1", 4),
        ("trac.css", "/trac/chrome/common/css/trac.css", 4),
    )
    with recipe(place, projects.single, 2) as ours, tracs_own(place, projects.single, 2) as theirs:
        print("Trac 1.6 in two processes, answers per second:\n")
        _header("page", [ours.name, theirs.name, "ratio"])
        for label, target, connections in work:
            mine, other = in_turn([ours, theirs], target, connections, rounds, seconds)
            cells = [f"{b.rate:,.0f}/s, p99 {b.p99:.1f} ms" for b in (mine, other)]
            _row(label, [*cells, f"{mine.rate / other.rate:.1f}"])
    print()


def trac_memory(place: Path) -> None:
    """Proportional memory of four Trac processes, with their template where there is one."""
    projects = trac_projects.copied(place / "memory")
    sums = []
    for start in (recipe, tracs_own):
        with start(place, projects.single, 4) as peer:
            for page in WARM_PAGES:
                peer.server.fetch(f"/trac{page}")
                burst(peer, f"/trac{page}", 8, 2)
            sums.append(sum(processes.memory(pid)["Pss"] for pid in peer.applications()))
    ours, theirs = sums
    print("Memory (PSS) of four Trac processes after some hundred pages:\n")
    _header("", ["fcgibox, with its template", "four separate ones", "ratio"])
    _row("PSS", [f"{ours / 1024:.0f} MB", f"{theirs / 1024:.0f} MB", f"{ours / theirs:.2f}"])


def what_others_feel(place: Path) -> None:
    """Our own figures before and during something heavy."""
    print("\nWhat everybody else feels:\n")
    _header("", ["in peace", "meanwhile"])
    for label, measure in (
        ("p99 of a style sheet while 20 wrong bcrypt passwords are checked", others.login_storm),
        ("longest answer of a 20 ms page across five reloads", others.reload_wait),
        ("CPU of a Trac process for a style sheet: one project, 20 projects", others.many_projects),
    ):
        _row(label, [f"{figure:.2f} ms" for figure in measure(place)])


def in_turn(peers: Sequence[Peer], target: str, connections: int, rounds: int, seconds: int) -> list[Burst]:
    """One result per peer: the medians over the rounds, after a short burst that warms each."""
    found: dict[str, list[Burst]] = {peer.name: [] for peer in peers}
    for peer in peers:
        peer.server.fetch(target)
        burst(peer, target, connections, 1)
    for _ in range(rounds):
        for peer in peers:
            found[peer.name].append(burst(peer, target, connections, seconds))
    return [
        Burst(*(statistics.median(getattr(b, name) for b in bursts) for name in ("rate", "cost", "p99")))
        for bursts in found.values()
    ]


def idle_cost(peer: Peer) -> float:
    """kB that the front grows by for each idle connection that has had one answer."""
    peer.server.fetch("/small.html")
    fronts = peer.fronts()
    before = sum(processes.memory(pid)["Pss"] for pid in fronts)
    wires = []
    try:
        for _ in range(IDLE_CONNECTIONS):
            wires.append(Wire(peer.server.address))
            assert wires[-1].get("/small.html").status == 200
        return (sum(processes.memory(pid)["Pss"] for pid in fronts) - before) / IDLE_CONNECTIONS
    finally:
        for wire in wires:
            wire.close()


def _header(first: str, names: Sequence[str]) -> None:
    _row(first, names)
    _row("---", ["---"] * len(names))


def _row(first: str, cells: Sequence[str]) -> None:
    print("|", " | ".join([first, *cells]), "|", flush=True)


if __name__ == "__main__":
    main()
