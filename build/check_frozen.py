"""check_frozen.py EXECUTABLE: does the one-file program work where there is nothing else?

It runs with an empty environment (no PATH, no Python, no locale), makes a Trac environment, serves its first
wiki page, a file of Trac and a reStructuredText page (docutils and Pygments inside), answers a Trac
administration command, and leaves nothing behind when it is stopped: no process, no unpacked directory.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

START_LIMIT = 60.0
STOP_LIMIT = 30.0


class Failed(Exception):
    """A check that did not hold."""


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    executable = Path(arguments[0]).resolve()
    place = Path(tempfile.mkdtemp(prefix="fcgibox-frozen-"))
    # As root the program serves as an unprivileged user, who has to get in here.
    place.chmod(0o755)
    try:
        # The place where it is built may be closed to that user as well.
        program = Path(shutil.copy2(executable, place / "fcgibox")).resolve()
        seconds = check(program, place)
    except Failed as failure:
        print(f"{executable}: {failure}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(place, ignore_errors=True)
    size = executable.stat().st_size / 1e6
    print(f"{executable}: {size:.1f} MB; a new Trac and its first wiki page {seconds:.1f} s after the start")
    return 0


def check(program: Path, place: Path) -> float:
    """Run everything; seconds from the start to the first wiki page. Raises Failed."""
    scratch = place / "tmp"
    scratch.mkdir()
    scratch.chmod(0o1777)
    # Empty but for the place it unpacks to, so that leftovers are ours and nobody else's.
    nothing = {"TMPDIR": str(scratch)}
    for command in (["--version"], ["version"], ["recipe"], ["trac-admin", "--version"]):
        run([str(program), *command], nothing)

    port = free_port()
    log = place / "log"
    begun = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(program), "recipe", "trac", "--env", str(place / "t"), "--listen", f"127.0.0.1:{port}"],
            env=nothing,
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        page = wait_page(process, f"http://127.0.0.1:{port}/wiki")
        seconds = time.monotonic() - begun
        expect(b"Welcome to Trac" in page, "/wiki is not Trac's first page")
        style = get(f"http://127.0.0.1:{port}/chrome/common/css/trac.css")
        expect(len(style) > 10_000, "/chrome/common/css/trac.css is not Trac's style sheet")
        marked_up = get(f"http://127.0.0.1:{port}/wiki/WikiRestructuredText")
        expect(b"Error" not in marked_up[:2000], "reStructuredText does not work")
        run(
            [str(program), "trac-admin", str(place / "t"), "permission", "list", "admin"],
            nothing,
            b"TRAC_ADMIN",
        )
    except Failed as failure:
        raise Failed(f"{failure}; its log:\n{log.read_text('utf-8', 'replace')}") from None
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_LIMIT)
        left = running(program)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()
    expect(not left, f"processes {left} were still there {STOP_LIMIT:g} s after SIGTERM")
    unpacked = sorted(path.name for path in scratch.glob("_MEI*"))
    expect(not unpacked, f"unpacked directories were left: {', '.join(unpacked)}")
    return seconds


def expect(condition: bool, problem: str) -> None:
    if not condition:
        raise Failed(problem)


def run(words: list[str], environment: dict[str, str], wanted: bytes = b"") -> None:
    done = subprocess.run(words, env=environment, capture_output=True, timeout=START_LIMIT)
    expect(done.returncode == 0, f"{' '.join(words)} ended with {done.returncode}: {done.stderr.decode()}")
    expect(wanted in done.stdout, f"{' '.join(words)} did not say {wanted!r}: {done.stdout.decode()}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def get(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=START_LIMIT) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        raise Failed(f"{url} answers {error.code}") from None


def wait_page(process: subprocess.Popen[bytes], url: str) -> bytes:
    """The first answer to the URL, as soon as something listens."""
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        try:
            return get(url)
        except OSError:
            expect(process.poll() is None, f"it ended with status {process.returncode}")
            time.sleep(0.02)
    raise Failed(f"no answer from {url} within {START_LIMIT:g} s")


def running(program: Path) -> list[int]:
    """Living processes that run this executable."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{name}/exe").removesuffix(" (deleted)") == str(program):
                found.append(int(name))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
