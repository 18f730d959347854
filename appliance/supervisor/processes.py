"""Starting a process: fork, descriptors, process group, identity, death signal, exec; and saying how one
ended.

A child inherits exactly what is named: every other descriptor of ours is close-on-exec. The steps after the
fork report their failure through a pipe, so that "permission denied" is the starter's error and not a silent
exit 127.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from appliance.supervisor import kernel
from appliance.supervisor.confinement import FREE, Confinement
from appliance.supervisor.identity import Identity

# Python ignores these; a child must find the default (a shell pipeline in a script relies on SIGPIPE).
_RESTORED = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start one program."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    identity: Identity
    death_signal: int | None
    """Sent by the kernel when we die: TERM for foreign programs (php-cgi ends its children on it), KILL for
    ours; None for one that goes on without us."""
    stdin: int
    output: int
    """Descriptor for stdout and stderr."""
    inherit: Sequence[int] = field(default=())
    """Descriptors that keep their number in the child."""
    directory: str | None = "/"
    """Where it runs; None: where we are."""
    session: bool = False
    """In a session of its own, without a terminal, and not just a process group."""
    open_files: tuple[int, int] | None = None
    """RLIMIT_NOFILE (soft, hard) for the child; None keeps ours."""
    confinement: Confinement = FREE


def launch(start: Launch) -> int:
    """Start it in a process group of its own; return its pid (= group). Raises OSError with the step that
    failed."""
    failure_reader, failure_writer = os.pipe()
    parent = os.getpid()
    # What waits in our buffers must not be written twice.
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _become(start, parent, failure_writer)
    os.close(failure_writer)
    if not start.session:
        with contextlib.suppress(OSError):
            # Both sides do it, so that the group exists for whoever comes first.
            os.setpgid(pid, pid)
    with os.fdopen(failure_reader, "rb") as reader:
        failure = reader.read()
    if failure:
        os.waitpid(pid, 0)
        code, _, step = failure.decode().partition(" ")
        raise OSError(int(code), os.strerror(int(code)), step)
    return pid


def _become(start: Launch, parent: int, failure: int) -> NoReturn:
    step = "preparing the process"
    try:
        if start.session:
            os.setsid()
        else:
            os.setpgid(0, 0)
        reset_signals()
        # 0 to 2 are replaced: move sources out of the way first, should one of them have such a number.
        stdin, output = _above(start.stdin), _above(start.output)
        os.dup2(stdin, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        for fd in start.inherit:
            os.set_inheritable(fd, True)
        if start.open_files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, start.open_files)
        step = "setting its limits and priority"
        start.confinement.restrict()
        if start.identity.root is not None:
            step = f"entering the chroot {start.identity.root}"
            start.identity.enter_root()
        step = f"becoming user {start.identity.name}"
        start.identity.assume()
        if start.death_signal is not None and not kernel.die_with_parent(parent, start.death_signal):
            os._exit(127)
        if start.directory is not None:
            step = f"entering {start.directory}"
            os.chdir(start.directory)
        if start.confinement.umask is not None:
            os.umask(start.confinement.umask)
        step = f"executing {start.arguments[0]}"
        os.execve(start.arguments[0], list(start.arguments), dict(start.environment))
    except OSError as error:
        with contextlib.suppress(OSError):
            os.write(failure, f"{error.errno} {step}".encode())
    except MemoryError:
        os.write(failure, f"{errno.ENOMEM} {step}".encode())
    except ValueError:
        # Python's word for a limit that the kernel does not take.
        os.write(failure, f"{errno.EPERM} {step}".encode())
    finally:
        os._exit(127)


def _above(fd: int) -> int:
    while fd <= 2:
        fd = os.dup(fd)
    return fd


def reset_signals() -> None:
    """In a child: default dispositions, nothing blocked, no wakeup descriptor."""
    signal.set_wakeup_fd(-1)
    for number in _RESTORED:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def fork_child(run: Callable[[], int], identity: Identity | None, keep: set[int], output: int) -> int:
    """Fork a process of ours that goes on in this program: run() in the child, its result the exit status.

    With an identity it has that before run(); without, run() calls `confine` as soon as it can.
    The child keeps only `keep` and 0-2 (stdout as it is, stderr = `output`), has its own group, dies with us.
    """
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            os.setpgid(0, 0)
            reset_signals()
            # A client that leaves in the middle of a send is an error of that send, not our end.
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 0)
            os.dup2(output, 2)
            close_all_but(keep | {0, 1, 2})
            # Objects of the supervisor stay as they are: collecting one would close a number that is ours
            # now.
            gc.freeze()
            if identity is not None:
                identity.assume()
            if kernel.die_with_parent(parent, signal.SIGKILL):
                status = run()
        except BaseException:
            # The last frame of this process: whatever it is must be seen, and must not unwind into the
            # supervisor.
            sys.excepthook(*sys.exc_info())
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)
    with contextlib.suppress(OSError):
        os.setpgid(pid, pid)
    return pid


def confine(identity: Identity, parent: int) -> None:
    """In a child of `parent`, on its main thread: enter the chroot, give privileges up, die with it still."""
    identity.enter_root()
    identity.assume()
    if not kernel.die_with_parent(parent, signal.SIGKILL):
        os._exit(127)


def close_all_but(keep: set[int]) -> None:
    """Close every descriptor of this process that is not in `keep`."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in keep:
            with contextlib.suppress(OSError):
                os.close(int(name))


def signal_group(group: int, number: int) -> bool:
    """Signal a whole process group; False when nothing is left of it."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Somebody of the group changed identity (a setuid program): it is still there.
        return True
    return True


def start_time(pid: int) -> int | None:
    """Clock tick at which a process started (with the pid, unique until the next boot); None if it has ended.

    A zombie has ended: only its parent, who may take its time, keeps its number.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name in parentheses may hold anything; the state is field 3, the start field 22.
            fields = file.read().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, ValueError, IndexError):
        return None


def parent(pid: int) -> int | None:
    """Whose child it is; None if it has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else int(fields[1])
    except (OSError, ValueError, IndexError):
        return None


def describe_exit(status: int) -> str:
    """A wait status in words."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = " (out of memory?)" if name == "SIGKILL" else ""
    return f"ended by {name}{hint}"


def describe_failure(error: OSError) -> str:
    """Why `launch` failed, with what to do about the usual reasons."""
    step = error.filename or "starting the process"
    text = f"{step}: {error.strerror}"
    if error.errno == errno.ENOEXEC:
        text += " (a script needs a first line such as #!/usr/bin/python3)"
    elif error.errno == errno.ENOENT and step.startswith("executing"):
        text += " (if the file is there, the interpreter of its first line is not)"
    elif error.errno == errno.EAGAIN:
        text += (
            " (the limit of processes is reached: ulimit -u, TasksMax of the unit, or nproc in its limits)"
        )
    elif error.errno == errno.ENOMEM:
        text += ' (is "as" or "data" in its limits too low?)'
    return text
