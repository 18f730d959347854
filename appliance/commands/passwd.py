"""`fcgibox passwd`: set, delete or verify a password in an htpasswd file.

A password never stands on the command line, where every user of the machine can read it: it is asked for at a
terminal, or is one line of standard input.
"""

from __future__ import annotations

import sys
from getpass import getpass
from pathlib import Path

from docopt import docopt

from appliance.errors import UserError
from appliance.passwords.formats import new_password
from appliance.passwords.store import mend
from appliance.passwords.writing import NEW_MODE, check_name, delete_user, set_password, verify_password

USAGE = """Set, delete or verify a user's password in a password file (htpasswd).

Usage:
  fcgibox passwd [--stdin] FILE USER
  fcgibox passwd --verify [--stdin] FILE USER
  fcgibox passwd --delete FILE USER
  fcgibox passwd -h | --help

Options:
  --verify   say whether the password is right: exit status 0 if it is, 1 if not
  --delete   take the user out of the file
  --stdin    read the password from standard input even at a terminal
  -h --help  show this

The password is asked for, twice when it is a new one; if standard input is not a terminal, its first line
is the password. It is stored as bcrypt, which Apache, nginx and lighttpd read too. FILE is created if it does
not exist (mode 0640); otherwise its owner, mode, order and comments stay. A running fcgibox notices.
"""

_LINE_LIMIT = 4096


def run(argv: list[str]) -> int:
    """Run the command; return its exit status."""
    options = docopt(USAGE, argv=argv)
    path = Path(options["FILE"])
    user = str(options["USER"])
    check_name(user)
    if options["--delete"]:
        delete_user(path, user)
        print(f"deleted {user} from {path}")
        return 0
    ask = sys.stdin.isatty() and not options["--stdin"]
    if options["--verify"]:
        return _verify(path, user, getpass(f"Password of {user}: ") if ask else _line("nothing was verified"))
    password = _ask_twice(user) if ask else _line("nothing was changed")
    created = not path.exists()
    set_password(path, user, password)
    if created:
        print(f"created {path} (mode {NEW_MODE:04o}) with the user {user}")
    else:
        print(f"set the password of {user} in {path}")
    return 0


def _verify(path: Path, user: str, password: str) -> int:
    if verify_password(path, user, password):
        print(f"the password of {user} is right")
        return 0
    print(
        f"fcgibox: this is not the password of {user} in {path}; set a new one: {mend(str(path), user)}",
        file=sys.stderr,
    )
    return 1


def _ask_twice(user: str) -> str:
    password = getpass(f"New password of {user}: ")
    new_password(password)
    if getpass("The same again: ") != password:
        raise UserError("the two passwords differ; nothing was changed")
    return password


def _line(consequence: str) -> str:
    octets = sys.stdin.buffer.readline(_LINE_LIMIT)
    if not octets:
        raise UserError(f"no password came on standard input; {consequence}")
    return octets.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "surrogateescape")
