"""gevent without its test suite.

The hook that comes with PyInstaller collects gevent.tests too, and through it tkinter, X11 libraries and
`test`: it doubles the executable.
"""

from PyInstaller.utils.hooks import collect_submodules

excludedimports = ["gevent.tests", "gevent.testing"]
hiddenimports = collect_submodules(
    "gevent",
    filter=lambda name: (
        not name.startswith(("gevent.tests", "gevent.testing", "gevent.libuv", "gevent._ffi"))
    ),
)
