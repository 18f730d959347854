"""`fcgibox spawn`: start a FastCGI program for any web server, with spawn-fcgi's options and exit statuses.

Scripts that call spawn-fcgi go on working with this command in its place, so an option means what it means
there; what that program silently misreads (a mode of "abc" is 0, port 70000 is 4464) is refused here.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from typing import Any

from docopt import DocoptExit, docopt

from appliance import __version__
from appliance.config import Listener
from appliance.config.listener import check_socket_path
from appliance.errors import UserError
from appliance.supervisor.environment import as_given
from appliance.supervisor.external import REFUSED, Order, replace_ourselves, spawn
from appliance.usage import explain

USAGE = """Start a FastCGI program and leave it to itself, as spawn-fcgi does.

Usage:
  fcgibox spawn [options] [--] [PROGRAM [ARGUMENTS...]]
  fcgibox spawn -h | --help
  fcgibox spawn -v

PROGRAM is a path; PATH is not searched.

Options:
  -p PORT      listen on this TCP port
  -a ADDRESS   the IPv4 or IPv6 address to it; without, every IPv4 address of this machine (0.0.0.0)
  -s PATH      listen on this unix socket
  -M MODE      its permissions, octal; without it 660 as far as the umask allows
  -b BACKLOG   connections that may wait to be accepted [default: 1024]
  -C CHILDREN  children of PHP (sets PHP_FCGI_CHILDREN; without it the variable stays as it is)
  -F COUNT     processes to start, all on this socket [default: 1]
  -P PATH      write their process numbers to this file, one a line
  -d DIR       run there
  -f COMMAND   the program as a command line for /bin/sh, if no PROGRAM is given
  -n           do not fork: the program takes this process over, with its output (systemd, runit, daemontools)
  -v           show the version
  -h --help    show this

For root:
  -u USER      run as this user, with its groups (a name or a number)
  -g GROUP     run as this group [the user's primary group]
  -U USER      owner of the unix socket [the user of -u]
  -G GROUP     group of the unix socket [the primary group of the user of -U, else the group of -g]
  -c DIR       change the root directory; the unix socket is made inside
  -S           make the unix socket before that, outside

The exit status is 0 when the program still runs after 0.1 seconds, that of the program if it ended before,
1 if a signal ended it, the number of the error if it could not be executed, 255 if anything else was refused.
The environment is handed on as it is; packaging/spawn-php.sh starts PHP with a clean one.

  fcgibox spawn -s /run/php.sock -u www-data -C 4 -P /run/php.pid -- /usr/bin/php-cgi
"""

_EVERYWHERE = "0.0.0.0"
_ROOT_ONLY = ("-u", "-g", "-U", "-G")


def run(argv: list[str]) -> int:
    """Run the command; return its exit status."""
    ours = argv[: argv.index("--")] if "--" in argv else argv
    if "-?" in ours:
        argv = ["spawn", "--help"]
    try:
        options = docopt(USAGE, argv=argv)
    except DocoptExit as error:
        # As everywhere, with another exit status.
        raise UserError(explain(str(error), argv, USAGE, "fcgibox spawn --help"), status=REFUSED) from None
    if options["-v"]:
        print(f"fcgibox {__version__}")
        return 0
    order = _order(options)
    if options["-n"]:
        replace_ourselves(order)
    return spawn(order)


def _order(options: dict[str, Any]) -> Order:
    listener = _listener(options)
    _ignored(options, listener)
    root = os.geteuid() == 0
    if options["-c"] and not root:
        raise _refused("-c", options["-c"], "only root can change the root directory; start this as root")
    processes = _number(options, "-F", 1, 4096)
    if options["-n"] and processes != 1:
        raise _refused(
            "-F", options["-F"], "with -n there is one process, this one; leave one of the two out"
        )
    # As it is: to clean it is the business of a script around us.
    environment = as_given()
    if options["-C"] is not None:
        environment["PHP_FCGI_CHILDREN"] = str(_number(options, "-C", 0, 65535))
    who = {name: options[name] if root else None for name in _ROOT_ONLY}
    return Order(
        arguments=_program(options),
        listener=listener,
        mode=None if options["-M"] is None else _mode(options["-M"]),
        user=who["-u"],
        group=who["-g"],
        socket_user=who["-U"],
        socket_group=who["-G"],
        chroot=options["-c"],
        bind_first=bool(options["-S"]),
        directory=options["-d"],
        environment=environment,
        processes=processes,
        pid_file=None if options["-n"] else options["-P"],
    )


def _program(options: dict[str, Any]) -> list[str]:
    if options["PROGRAM"] is not None:
        return [options["PROGRAM"], *options["ARGUMENTS"]]
    if options["-f"] is None:
        raise UserError("no program to start; name it at the end: -- /usr/bin/php-cgi", status=REFUSED)
    return ["/bin/sh", "-c", f"exec {options['-f']}"]


def _listener(options: dict[str, Any]) -> Listener:
    """Where it listens: exactly one of -p and -s."""
    path, port = options["-s"], options["-p"]
    if path is None and port is None:
        raise UserError("nowhere to listen; say -s PATH or -p PORT", status=REFUSED)
    if path is not None and port is not None:
        raise UserError(
            "-s and -p: either a unix socket or a TCP port; leave one of them out", status=REFUSED
        )
    backlog = _number(options, "-b", 1, 2**31 - 1)
    if path is not None:
        try:
            check_socket_path(path)
        except ValueError as error:
            raise _refused("-s", path, str(error)) from None
        return Listener("unix", path, 0, backlog)
    try:
        address = ipaddress.ip_address(options["-a"] or _EVERYWHERE)
    except ValueError:
        raise _refused(
            "-a", options["-a"], "this is no IPv4 or IPv6 address, and names are not looked up"
        ) from None
    number = _number(options, "-p", 1, 65535)
    return Listener("inet6" if address.version == 6 else "inet", str(address), number, backlog)


def _ignored(options: dict[str, Any], listener: Listener) -> None:
    """Say what has no effect; spawn-fcgi takes it silently, so it is no error."""
    names = [name for name in _ROOT_ONLY if options[name] is not None] if os.geteuid() != 0 else []
    if names:
        _warn(f"{', '.join(names)}: only root can change users; without effect")
    if listener.kind != "unix" and (
        names := [name for name in ("-M", "-U", "-G") if options[name] is not None]
    ):
        _warn(f"{', '.join(names)}: for a unix socket (-s); without effect on a TCP port")
    if options["-p"] is not None and options["-a"] is None:
        _warn(
            f"-p {options['-p']} without -a listens on every address of this machine: whoever reaches it can "
            "have the program run what they like; -a 127.0.0.1 is for a web server on this machine"
        )
    if options["-n"] and options["-P"]:
        _warn("-P: with -n the program is this process, no file is written")
    if options["-S"] and not options["-c"]:
        _warn("-S: without -c there is no other root directory; without effect")
    if options["PROGRAM"] is not None and options["-f"] is not None:
        _warn(f"-f {options['-f']}: {options['PROGRAM']} is started instead")


def _warn(text: str) -> None:
    print(f"fcgibox: {text}", file=sys.stderr)


def _number(options: dict[str, Any], name: str, least: int, most: int) -> int:
    text = options[name]
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and least <= int(text) <= most):
        raise _refused(name, text, f"this is no number from {least} to {most}")
    return int(text)


def _mode(text: str) -> int:
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o7777:
        raise _refused("-M", text, "permissions are octal digits, such as 660")
    return mode


def _refused(option: str, value: str, reason: str) -> UserError:
    return UserError(f"{option} {value}: {reason}", status=REFUSED)
