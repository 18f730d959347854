"""The program of a `bin-path`: found, looked at, and refused with the way out if it cannot be one.

As in lighttpd a relative path counts from the directory that the server was started in; a bare name that is
not there is looked up on the PATH, where a lighttpd gives up. With a `chroot` it is a path below that.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import time
from collections.abc import Mapping, Sequence

from appliance.errors import UserError
from appliance.supervisor.chroot import outside
from appliance.supervisor.identity import Identity
from appliance.supervisor.processes import Launch, launch, signal_group

_PATIENCE = 5.0  # seconds for `php -v`
_MOST = 65536  # octets of its answer


def find_program(command: Sequence[str], what: str, root: str | None = None) -> str:
    """The path to execute for a command line, as a process with this root knows it; UserError if there is
    none, or it is no program."""
    name = command[0]
    if root is not None:
        if not name.startswith("/"):
            raise UserError(
                f'{what}: with "chroot" => "{root}" bin-path is an absolute path inside, not {name!r}'
            )
        _require_program(outside(root, name), what, f" ({name} in the chroot {root})")
        return name
    here = "/" in name or (os.path.isfile(name) and os.access(name, os.X_OK))
    path = os.path.abspath(name) if here else shutil.which(name)
    if path is None:
        raise UserError(f"{what}: there is no program {name!r} on the PATH; install it or give its full path")
    _require_program(path, what, "" if name.startswith("/") else f" (bin-path {name!r})")
    return path


def _require_program(path: str, what: str, where: str) -> None:
    if not os.path.exists(path):
        raise UserError(f"{what}: {path} does not exist{where}; install it, or correct bin-path")
    if os.path.isdir(path) or not os.access(path, os.X_OK):
        raise UserError(
            f"{what}: {path} cannot be executed{where}; `chmod +x {path}` if it is the right file"
        )


def refuse_command_line_php(path: str, what: str, identity: Identity, environment: Mapping[str, str]) -> None:
    """PHP comes as several programs that look alike, and only one of them can be started for FastCGI.
    UserError that names it. Asks the program itself, as the user it will run as, if it has such a name."""
    names = {os.path.basename(name) for name in (path, os.path.realpath(outside(identity.root, path)))}
    if not any(re.fullmatch(r"php(-fpm)?[0-9.]*", name) for name in names):
        return
    answer = _ask(path, identity, environment)
    match = re.search(r"^PHP ([0-9]+\.[0-9]+)\S* \(([a-z-]+)\)", answer, re.MULTILINE)
    if match is None or match[2] == "cgi-fcgi":
        return
    if match[2] == "fpm-fcgi":
        raise UserError(
            f"{what}: {path} is PHP's own process manager, which no web server starts; start it as a service "
            '(systemctl start php-fpm), leave bin-path out and name its "socket"'
        )
    raise UserError(
        f"{what}: {path} is the PHP of the command line and does not speak FastCGI; bin-path needs php-cgi "
        f"(Debian: apt-get install php-cgi, or php{match[1]}-cgi; the path is /usr/bin/php-cgi). "
        f'`php-cgi -v` must say "(cgi-fcgi)"; `{path} -v` says "({match[2]})"'
    )


def _ask(path: str, identity: Identity, environment: Mapping[str, str]) -> str:
    """What `PROGRAM -v` says; "" if it does not."""
    reader, writer = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    try:
        pid = launch(Launch((path, "-v"), environment, identity, signal.SIGKILL, null, writer))
    except OSError:
        os.close(reader)
        return ""
    finally:
        os.close(writer)
        os.close(null)
    answer, end = b"", time.monotonic() + _PATIENCE
    with os.fdopen(reader, "rb", buffering=0) as file:
        while len(answer) < _MOST and select.select([file], [], [], max(0.0, end - time.monotonic()))[0]:
            piece = file.read(_MOST)
            if not piece:
                break
            answer += piece
    signal_group(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return answer.decode(errors="replace")
