"""`fcgibox version`: what this program is made of, for bug reports and for those who keep an inventory."""

from __future__ import annotations

import platform
import sys
from importlib import metadata

from docopt import docopt

from appliance import __version__

USAGE = """fcgibox version: what this is made of.

Usage:
  fcgibox version [--short]
  fcgibox version -h | --help

Options:
  --short     only our own version
  -h --help   this text
"""

PARTS = ("Trac", "Jinja2", "Babel", "Pygments", "docutils", "gevent", "greenlet", "httptools", "docopt-ng")
"""Distributions inside, in the order people ask for them."""


def run(argv: list[str]) -> int:
    """Print versions, one per line."""
    options = docopt(USAGE, argv=argv)
    if options["--short"]:
        print(__version__)
        return 0
    form = "one file" if getattr(sys, "frozen", False) else sys.prefix
    lines = [("fcgibox", f"{__version__} ({form})"), ("Python", platform.python_version())]
    lines += [(part, _version(part)) for part in PARTS]
    lines.append(("system", f"{platform.system()} {platform.release()} {platform.machine()}"))
    for name, value in lines:
        print(f"{name:10} {value}")
    return 0


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"
