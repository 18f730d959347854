"""The way into the front's chroot (`server.chroot`): first whatever must come from outside.

Inside there are no modules of Python, no time zones and no libraries. What is imported late elsewhere is
imported here, and the rule of the time zone goes into the environment, where the C library looks for it
without a file. Names of hosts are looked up inside, as in lighttpd: with etc/resolv.conf and etc/hosts there.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil
import socket
import time

from appliance.passwords import formats

_LATE = (
    "encodings.idna",
    "encodings.latin_1",
    "encodings.unicode_escape",
    "html",
    "linecache",
    "random",
    "shutil",
    "stringprep",
    "tempfile",
    "tokenize",
    "traceback",
)
_OURS = ("front", "gateway", "handlers", "http", "passwords", "pool", "report")
_ZONES = "/usr/share/zoneinfo"


def prepare() -> None:
    """Have everything at hand that a front may come to need. Before chroot(2)."""
    for name in _LATE:
        importlib.import_module(name)
    for part in _OURS:
        package = importlib.import_module(f"appliance.{part}")
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    formats.load_library()
    with contextlib.suppress(OSError):
        # The C library reads its own settings (nsswitch.conf, hosts, resolv.conf) at the first look-up.
        socket.getaddrinfo("localhost", 80)
    _keep_time_zone()


def _keep_time_zone() -> None:
    """TZ as a rule of POSIX, which stands at the end of each file of zones (RFC 8536 section 3.3)."""
    name = os.environ.get("TZ", "").removeprefix(":")
    path = os.path.join(_ZONES, name) if name else "/etc/localtime"
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError:
        return  # a rule already, or no zone at all
    if content.startswith(b"TZif") and content.endswith(b"\n"):
        rule = content[:-1].rpartition(b"\n")[2].decode("ascii", "replace")
        if rule:
            os.environ["TZ"] = rule
            time.tzset()
