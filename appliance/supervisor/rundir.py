"""The run directory of one instance: control socket, application sockets, the list of its processes.

Who can enter it decides who can talk to the applications: mode 0710, ours, group = the front's when we are
root. In /tmp anybody can make a directory of our name first; one that is not ours is refused, never used.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from appliance.errors import UserError
from appliance.supervisor.chroot import outside
from appliance.supervisor.exclusive import Lock, LockHeld

CONTROL = "control.sock"

# sun_path holds 108 bytes with its final NUL; the longest name we put in is NAME-NNN.sock.
_LONGEST_PATH = 107
_LONGEST_NAME = 32


def base_directory() -> Path:
    """The directory above all run directories of this user."""
    if os.geteuid() == 0:
        return Path("/run/fcgibox")
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and os.path.isabs(runtime) and os.access(runtime, os.W_OK | os.X_OK):
        return Path(runtime) / "fcgibox"
    return Path(f"/tmp/fcgibox-{os.geteuid()}")


def run_directory(instance: str) -> Path:
    """Where the instance of this name keeps its sockets. Nothing is created."""
    return base_directory() / instance


def prepare(directory: Path, group: int) -> Lock:
    """Create the directory, check that it is ours, lock it for the life of this process.

    Raises UserError: another instance of this name runs, or the directory is somebody else's.
    """
    if len(os.fsencode(directory)) + 1 + _LONGEST_NAME > _LONGEST_PATH:
        raise UserError(
            f"the run directory {directory} is too long for socket names in it; choose a shorter name"
        )
    _make(directory.parent, 0o755)
    _make(directory, 0o710)
    try:
        lock = Lock(directory)
    except LockHeld as held:
        raise UserError(
            f"an instance named {directory.name!r} is already running ({held.holder}); "
            f"`fcgibox status {directory.name}` shows it, `fcgibox stop {directory.name}` ends it"
        ) from None
    hand_over(directory, group)
    return lock


def prepare_another(directory: Path, group: int, root: str | None = None) -> bool:
    """Create the run directory that a recipe's printed text names for its sockets, if that is what this is
    (below the front's chroot `root`) and nobody has. True if it is there anew. Raises UserError as `prepare`
    does."""
    if directory.parent != Path(outside(root, str(base_directory()))) or directory.exists():
        return False
    _make(directory.parent, 0o755)
    _make(directory, 0o710)
    hand_over(directory, group)
    return True


def hand_over(directory: Path, group: int) -> None:
    """Let the front's group through, nobody else."""
    if os.geteuid() == 0:
        os.chown(directory, 0, group)
    os.chmod(directory, 0o710)


def sweep(directory: Path) -> None:
    """Remove the sockets of an earlier run. Only under the lock: nobody can be using them."""
    for entry in directory.iterdir():
        if stat.S_ISSOCK(entry.lstat().st_mode):
            entry.unlink(missing_ok=True)


def _make(directory: Path, mode: int) -> None:
    try:
        os.makedirs(directory.parent, exist_ok=True)
        os.mkdir(directory, mode)
    except FileExistsError:
        pass
    except OSError as error:
        raise UserError(f"cannot create the run directory {directory}: {error.strerror}") from error
    check(directory)


def check(directory: Path) -> None:
    """It is ours, and nobody else can put sockets in it. Raises UserError; FileNotFoundError if it is not
    there."""
    status = os.lstat(directory)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise UserError(
            f"{directory} belongs to user {status.st_uid} and cannot be used for our sockets; "
            "remove it, or set XDG_RUNTIME_DIR to a directory of yours"
        )
    if status.st_mode & 0o022:
        raise UserError(f"{directory} can be written by others: chmod go-w it")
