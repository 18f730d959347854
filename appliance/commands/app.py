"""`fcgibox app`: the application side alone, behind our own front or anybody else's.

This role decides before anything else is imported what kind of process this is: a template, a child of the
supervisor, or a program on its own.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from typing import Any

from docopt import docopt

from appliance.application import lifetime, listening, projects, template, trac_library
from appliance.application.exchange import Application
from appliance.application.lifetime import Stop
from appliance.application.sendfile import VARIABLE as SENDFILE_VARIABLE
from appliance.application.server import PROTOCOLS, Server
from appliance.application.visible import VisibleURL
from appliance.errors import UserError

USAGE = """Serve Trac over FastCGI or SCGI, for a web server that speaks it.

Usage:
  fcgibox app trac [options] [--env ENV]...
  fcgibox app -h | --help

What is served (without any of these, the variables TRAC_ENV, TRAC_ENVS and TRAC_ENV_PARENT_DIR say it):
  --env ENV            DIR: the environment at the root of the mount; with several, each at its directory's
                       name; NAME=DIR: at /NAME; repeatable
  --parent-dir DIR     every environment in this directory, each at its name; also one that is created later

Where it listens (without any of these, on the socket that the web server put on standard input):
  --socket PATH        a unix socket
  --socket-mode MODE   its permissions, octal; the default is 660
  --socket-group GROUP its group
  --bind ADDR:PORT     a TCP port; everybody who reaches it can claim to be any user: keep it on 127.0.0.1
  --protocol NAME      fcgi or scgi [default: fcgi]

How it behaves:
  --url URL            the address browsers see, where it differs from what the web server tells: https://example.org
                       sets scheme and host, https://example.org/trac also the prefix (or FCGIBOX_URL)
  --locale LOCALE      an installed locale, for dates where Babel does not format them (or FCGIBOX_LOCALE)
  --plugins-dir DIR    plugins for all environments: .py, .egg, or unpacked wheels; several joined by ":"
                       (or FCGIBOX_PLUGINS_DIR)
  -h --help            show this

TERM and USR1 finish the running request and stop. One process serves one request at a time: start several.
FCGIBOX_XSENDFILE=DIR[:DIR...] lets the web server send files below these directories itself (X-Sendfile).

lighttpd.conf:
  fastcgi.server = ("/trac" => ((
    "bin-path" => "/usr/local/bin/fcgibox app trac --env /srv/trac",
    "socket" => "/run/lighttpd/trac.sock", "check-local" => "disable", "max-procs" => 2 )))
"""


def run(argv: list[str]) -> int:
    """Run the command; return its exit status."""
    options = docopt(USAGE, argv=argv)
    if options["--protocol"] not in PROTOCOLS:
        raise UserError(f"--protocol {options['--protocol']}: it is {' or '.join(PROTOCOLS)}", status=2)
    if options["--socket"] is None and (options["--socket-mode"] or options["--socket-group"]):
        raise UserError("--socket-mode and --socket-group need --socket PATH", status=2)
    if options["--socket"] is not None and options["--bind"] is not None:
        raise UserError("give either --socket or --bind", status=2)
    chosen = projects.from_options(options["--env"], options["--parent-dir"], os.environ)
    control = template.control_socket(os.environ)

    def warm(render: bool = True) -> Application:
        return _trac(options, chosen, render)

    def serve(application: Application, listener: socket.socket, stop: Stop) -> None:
        Server(application, listener, options["--protocol"], stop).run()

    if control is not None:
        template.run(control, warm, serve)
        return 0
    supervised = lifetime.is_supervised(os.environ)
    if supervised:
        lifetime.end_with_parent()
    stop = Stop(ignore_interrupt=supervised)
    with _listener(options) as listener:
        serve(warm(render=False), listener, stop)
    return 0


@contextlib.contextmanager
def _listener(options: dict[str, Any]) -> Iterator[socket.socket]:
    if options["--socket"] is not None:
        with listening.on_path(
            options["--socket"], options["--socket-mode"], options["--socket-group"]
        ) as listener:
            yield listener
    elif options["--bind"] is not None:
        with listening.on_address(options["--bind"]) as listener:
            yield listener
    else:
        with listening.inherited() as listener:
            yield listener


def _trac(options: dict[str, Any], chosen: projects.Projects, render: bool) -> Application:
    """Trac as the options and the environment want it, with its environments open."""
    url = options["--url"] or os.environ.get("FCGIBOX_URL")
    plugins = trac_library.plugin_directories(options["--plugins-dir"], os.environ)
    visible = VisibleURL(url) if url else None
    trac_library.prepare(os.environ)
    try:
        from appliance.application.trac import TracApplication, checked_locale
    except ImportError as error:
        raise UserError(f"Trac is not installed for {sys.executable}: {error}") from None
    trac_library.install_plugins(plugins)
    application = TracApplication(
        chosen,
        visible,
        checked_locale(options["--locale"] or os.environ.get("FCGIBOX_LOCALE")),
        front_sends_files=bool(os.environ.get(SENDFILE_VARIABLE)),
    )
    return application.warm(render)
