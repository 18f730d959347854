"""`Peer`: a server to measure, started from a template in `peers/`, or our own program."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tests import processes
from tests.box import Box, clean_environment
from tests.lighttpd import executable as lighttpd_executable
from tests.server import Server
from tests.waiting import until

TEMPLATES = Path(__file__).with_name("peers")


class Peer:
    """A running server: its address, and the processes that are its HTTP front."""

    def __init__(self, name: str, server: Server) -> None:
        self.name = name
        self.server = server
        self.url = server.url

    def fronts(self) -> list[int]:
        """The processes that speak HTTP, without applications."""
        if isinstance(self.server, Box):
            return [self.server.front_pid()]
        workers = [
            pid for pid in processes.children(self.server.pid) if "nginx" in processes.command_line(pid)[0]
        ]
        return workers or [self.server.pid]

    def applications(self) -> list[int]:
        """Everything else that it started: FastCGI processes and the template they come from."""
        if isinstance(self.server, Box):
            return [*self.server.application_pids(), self.server.template_pid()]
        return sorted(processes.children(self.server.pid) - set(self.fronts()))


class Foreign(Server):
    """A program with a configuration file from `peers/`."""

    def begin(self, template: str, *words: str, **values: str) -> None:
        """Fill the template in and start `words`, in which @FILE@ is the result."""
        path = self.directory / template
        path.write_text(filled(template, PORT=str(self.port), RUN=str(self.directory), **values))
        self._launch([word.replace("@FILE@", str(path)) for word in words], clean_environment())
        self._wait_listening()


class PhpFpm(Server):
    """Two PHP children behind a unix socket, for the peers that start none themselves."""

    def begin(self) -> Path:
        """Start it; the socket."""
        path = self.directory / "php-fpm.conf"
        root = os.geteuid() == 0
        identity = "user = www-data\ngroup = www-data" if root else ""
        path.write_text(filled("php-fpm.conf", RUN=str(self.directory), IDENTITY=identity))
        program = next(Path("/usr/sbin").glob("php-fpm*"))
        self._launch([str(program), "--nodaemonize", "--fpm-config", str(path)], clean_environment())
        sock = self.directory / "fpm.sock"
        until(sock.exists, 10, "no php-fpm", self.log)
        return sock


def filled(template: str, **values: str) -> str:
    """A template with @NAME@ replaced."""
    text = (TEMPLATES / template).read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


@contextlib.contextmanager
def web_servers(place: Path, root: Path) -> Iterator[list[Peer]]:
    """fcgibox, lighttpd, nginx and Caddy with the same document root and PHP in two processes each."""
    caddy = shutil.which("caddy") or "caddy"
    with contextlib.ExitStack() as stack:
        box = stack.enter_context(Box(place / "fcgibox"))
        box.serve(filled("fcgibox.conf", PORT=str(box.port), RUN=str(box.directory), ROOT=str(root)))
        peers = [Peer("fcgibox", box)]
        for name, template, words in (
            ("lighttpd", "lighttpd.conf", (lighttpd_executable(), "-D", "-f", "@FILE@")),
            ("nginx", "nginx.conf", ("/usr/sbin/nginx", "-c", "@FILE@", "-e", "stderr")),
            ("Caddy", "Caddyfile", (caddy, "run", "--config", "@FILE@", "--adapter", "caddyfile")),
        ):
            server = stack.enter_context(Foreign(place / name))
            if name != "lighttpd":
                stack.enter_context(PhpFpm(server.directory)).begin()
            server.begin(template, *words, ROOT=str(root))
            peers.append(Peer(name, server))
        yield peers


@contextlib.contextmanager
def recipe(place: Path, environment: Path, count: int) -> Iterator[Peer]:
    """Our recipe on this environment at /trac, with exactly `count` processes."""
    with Box(place / f"recipe{count}") as box:
        box.recipe("trac", "--env", environment, "--at", "/trac", "--processes", f"{count}-{count}")
        yield Peer("fcgibox", box)


@contextlib.contextmanager
def tracs_own(place: Path, environment: Path, count: int) -> Iterator[Peer]:
    """lighttpd with `count` processes of Trac's own FastCGI program at /trac."""
    with Foreign(place / f"own{count}") as server:
        words = (lighttpd_executable(), "-D", "-f", "@FILE@")
        values = {"PYTHON": sys.executable, "ENV": str(environment), "PROCESSES": str(count)}
        server.begin("lighttpd-trac.conf", *words, **values)
        yield Peer("lighttpd with Trac's own FastCGI", server)
