"""`fcgibox app`: the application side alone, behind our own front or anybody else's.

This role decides before anything else is imported what kind of process this is: a template, or a process that
serves by itself, whoever started it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from docopt import docopt

from appliance import script
from appliance.application import listening, projects, template, trac_library, wsgi
from appliance.application.exchange import Application
from appliance.application.lifetime import Stop
from appliance.application.sendfile import VARIABLE as SENDFILE_VARIABLE
from appliance.application.server import PROTOCOLS, Server
from appliance.application.visible import VisibleURL
from appliance.errors import UserError

USAGE = """Serve an application over FastCGI or SCGI, for a web server that speaks it.

Usage:
  fcgibox app trac [options]
  fcgibox app wsgi MODULE:CALLABLE [options]
  fcgibox app -h | --help

`wsgi` is for any WSGI application (Django, Flask, Pyramid ...). `fcgibox app trac --help` and
`fcgibox app wsgi --help` have the options; docs/coming-from.md the configuration of each web server.
"""

_LISTENING = """\
Where it listens (without any of these, on the socket that the web server put on standard input):
  --socket PATH        a unix socket
  --socket-mode MODE   its permissions, octal; the default is 660
  --socket-group GROUP its group
  --bind ADDR:PORT     a TCP port; everybody who reaches it can claim to be any user: keep it on 127.0.0.1
  --protocol NAME      fcgi or scgi [default: fcgi]
  --write-script FILE  serve nothing, but write FILE, a script for web servers that start one:
                       Apache's mod_fcgid, LiteSpeed
"""

_BEHAVIOUR = """\
  --url URL            the address browsers see, where it differs from what the web server tells: https://example.org
                       sets scheme and host, https://example.org/trac also the prefix (or FCGIBOX_URL)
"""

_END = """\
TERM and USR1 finish the running request and stop. One process serves one request at a time: start several.
FCGIBOX_XSENDFILE=DIR[:DIR...] lets the web server send files below these directories itself (X-Sendfile).
"""

TRAC_USAGE = f"""Serve Trac over FastCGI or SCGI, for a web server that speaks it.

Usage:
  fcgibox app trac [options] [--env ENV]...
  fcgibox app trac -h | --help

What is served (without any of these, the variables TRAC_ENV, TRAC_ENVS and TRAC_ENV_PARENT_DIR say it):
  --env ENV            DIR: the environment at the root of the mount; with several, each at its directory's
                       name; NAME=DIR: at /NAME; repeatable
  --parent-dir DIR     every environment in this directory, each at its name; also one that is created later

{_LISTENING}
How it behaves:
{_BEHAVIOUR}\
  --locale LOCALE      an installed locale, for dates where Babel does not format them (or FCGIBOX_LOCALE)
  --plugins-dir DIR    plugins for all environments: .py, .egg, or unpacked wheels; several joined by ":"
                       (or FCGIBOX_PLUGINS_DIR)
  -h --help            show this

{_END}
lighttpd.conf:
  fastcgi.server = ("/trac" => ((
    "bin-path" => "/usr/local/bin/fcgibox app trac --env /srv/trac",
    "socket" => "/run/lighttpd/trac.sock", "check-local" => "disable", "max-procs" => 2 )))
"""

WSGI_USAGE = f"""Serve a WSGI application over FastCGI or SCGI, for a web server that speaks it.

Usage:
  fcgibox app wsgi MODULE:CALLABLE [options]
  fcgibox app wsgi -h | --help

MODULE:CALLABLE is what Python would import, like mysite.wsgi:application; "MODULE:FACTORY()" is called
once, for the application that it returns.

Where it is:
  --chdir DIR          the directory that MODULE is in; it becomes the working directory
  --pythonpath DIR     its libraries, for example the site-packages of its virtual environment, which is
                       to have the same version of Python; several joined by ":"

{_LISTENING}
How it behaves:
{_BEHAVIOUR}\
  -h --help            show this

{_END}
lighttpd.conf ("template" is ours: `fcgibox serve` loads the application once and forks the processes, which
then start at once and share memory):
  fastcgi.server = ("/" => ((
    "bin-path" => "/usr/local/bin/fcgibox app wsgi mysite.wsgi:application --chdir /srv/mysite",
    "socket" => "/run/mysite.sock", "fix-root-scriptname" => "enable", "check-local" => "disable",
    "max-procs" => 2, "template" => "enable" )))
"""

_PATH_OPTIONS = {"--chdir", "--parent-dir"}
_PATH_LIST_OPTIONS = {"--plugins-dir", "--pythonpath"}
_NOT_IN_SCRIPT = {"--write-script", "--help", "--socket", "--socket-mode", "--socket-group", "--bind"}


def run(argv: list[str]) -> int:
    """Run the command; return its exit status."""
    if argv[1:2] == ["trac"]:
        options = docopt(TRAC_USAGE, argv=argv)
    elif argv[1:2] == ["wsgi"]:
        options = docopt(WSGI_USAGE, argv=argv)
    else:
        docopt(USAGE, argv=argv)
        return 0
    _check(options)
    if options["--write-script"] is not None:
        return _write_script(argv[1], options)
    warm = _trac(options) if argv[1] == "trac" else _wsgi(options)

    def serve(application: Application, listener: socket.socket, stop: Stop) -> None:
        Server(application, listener, options["--protocol"], stop, shared=shared).run()

    control = template.control_socket(os.environ)
    shared = control is None and options["--socket"] is None and options["--bind"] is None
    if control is not None:
        template.run(control, lambda: warm(True), serve)
        return 0
    stop = Stop(ignore_interrupt=False)
    with _listener(options) as listener:
        serve(warm(False), listener, stop)
    return 0


def _check(options: dict[str, Any]) -> None:
    if options["--protocol"] not in PROTOCOLS:
        raise UserError(f"--protocol {options['--protocol']}: it is {' or '.join(PROTOCOLS)}", status=2)
    if options["--socket"] is None and (options["--socket-mode"] or options["--socket-group"]):
        raise UserError("--socket-mode and --socket-group need --socket PATH", status=2)
    if options["--socket"] is not None and options["--bind"] is not None:
        raise UserError("give either --socket or --bind", status=2)
    if options["--write-script"] is not None and (options["--socket"] or options["--bind"]):
        raise UserError(
            "the web server that starts a script also makes its socket: "
            "give --write-script without --socket and --bind",
            status=2,
        )


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


def _url(options: dict[str, Any]) -> VisibleURL | None:
    url = options["--url"] or os.environ.get("FCGIBOX_URL")
    return VisibleURL(url) if url else None


def _wsgi(options: dict[str, Any]) -> Callable[[bool], Application]:
    """What loads the WSGI application."""
    url = _url(options)

    def warm(render: bool) -> Application:
        application = wsgi.load(options["MODULE:CALLABLE"], options["--chdir"], options["--pythonpath"])
        return application if url is None else wsgi.seen_as(url, application)

    return warm


def _trac(options: dict[str, Any]) -> Callable[[bool], Application]:
    """What loads Trac as the options and the environment want it, with its environments open."""
    chosen = projects.from_options(options["--env"], options["--parent-dir"], os.environ)
    url = _url(options)

    def warm(render: bool) -> Application:
        plugins = trac_library.plugin_directories(options["--plugins-dir"], os.environ)
        trac_library.prepare(os.environ)
        try:
            from appliance.application.trac import TracApplication, checked_locale
        except ImportError as error:
            raise UserError(f"Trac is not installed for {sys.executable}: {error}") from None
        trac_library.install_plugins(plugins)
        application = TracApplication(
            chosen,
            url,
            checked_locale(options["--locale"] or os.environ.get("FCGIBOX_LOCALE")),
            front_sends_files=bool(os.environ.get(SENDFILE_VARIABLE)),
        )
        return application.warm(render)

    return warm


def _write_script(kind: str, options: dict[str, Any]) -> int:
    path = Path(options["--write-script"]).absolute()
    # Without a name the web server's own settings will say it (mod_fcgid's FcgidInitialEnv).
    named = kind == "wsgi" or options["--env"] or options["--parent-dir"]
    if kind == "trac" and named:
        projects.from_options(options["--env"], options["--parent-dir"], {})
    _url(options)
    words = ["app", kind] if kind == "trac" else ["app", kind, options["MODULE:CALLABLE"]]
    for name, value in options.items():
        if name.startswith("--") and name not in _NOT_IN_SCRIPT and value is not None:
            for word in value if isinstance(value, list) else [value]:
                words += [name, _absolute(name, word)]
    scgi = options["--protocol"] == "scgi"
    script.write(path, script.text(words, protocol="SCGI" if scgi else "FastCGI"))
    print(f"{path} is written; a web server that starts it puts the listening socket on standard input.")
    if not named:
        print("It serves what TRAC_ENV or TRAC_ENV_PARENT_DIR name, in the environment it is started with.")
    if not scgi:
        print(f"Apache with mod_fcgid (the slash at the end matters):\n    ScriptAlias /{kind} {path}/")
        if path.suffix != ".fcgi":
            print(
                "    # Debian's mod_fcgid runs *.fcgi; under this name Apache may hand out the script's text."
            )
    return 0


def _absolute(option: str, value: str) -> str:
    """The option's value without relative paths: the script is started in another directory."""
    if option in _PATH_OPTIONS:
        return os.path.abspath(value)
    if option in _PATH_LIST_OPTIONS:
        return os.pathsep.join(os.path.abspath(word) for word in value.split(os.pathsep) if word)
    if option == "--env":
        name, directory = projects.split(value)
        return os.path.abspath(directory) if name is None else f"{name}={os.path.abspath(directory)}"
    return value
