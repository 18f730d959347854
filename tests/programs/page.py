"""docs/programs.md: its sections, and a place on this machine for the paths that it names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.box import ROOT, program
from tests.server import reserve_port

PAGE = ROOT / "docs/programs.md"


@dataclass(frozen=True, slots=True)
class Section:
    """What the page shows for one kind of program."""

    title: str
    sources: dict[str, str]  # by the path that the page gives it
    configuration: str
    path: str  # to look at


def sections() -> dict[str, Section]:
    """The sections that have a configuration, by title."""
    found = {}
    for text in re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        title = text.partition("\n")[0]
        blocks = re.findall(r"^```(\w+) (\S+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        configurations = [(name, content) for language, name, content in blocks if language == "lighttpd"]
        if configurations:
            ((url, configuration),) = configurations
            sources = {name: content for language, name, content in blocks if language != "lighttpd"}
            found[title] = Section(title, sources, configuration, urlsplit(url).path)
    return found


def together(texts: dict[str, str], root: str = "/var/empty") -> str:
    """Several configurations as one: each counts for the host that it is given; `root` for all others."""
    modules: dict[str, None] = {}
    blocks = []
    for host, text in texts.items():
        listed = re.search(r"^server.modules = \((.*)\)\n", text, re.MULTILINE)
        assert listed
        modules.update(dict.fromkeys(re.findall(r'"\w+"', listed[1])))
        blocks.append(f'$HTTP["host"] == "{host}" {{\n{text.replace(listed[0], "")}}}\n')
    outermost = f'server.document-root = "{root}"\nserver.modules = ( {", ".join(modules)} )\n'
    return outermost + "".join(blocks)


class Place:
    """Directories for one server: what the page calls /srv/www, /usr/lib/cgi-bin, /srv/hello and /run."""

    def __init__(self, directory: Path) -> None:
        self.www = directory / "www"
        self.programs = directory / "cgi-bin"
        self.hello = directory / "hello"
        self.sockets = directory / "run"
        for path in (directory, self.www, self.programs, self.hello, self.sockets):
            path.mkdir(exist_ok=True)
            path.chmod(0o755)
        self.sockets.chmod(0o777)

    def use_other_sockets(self) -> None:
        """For another server with the same programs."""
        self.sockets = self.sockets.with_name("run2")
        self.sockets.mkdir(mode=0o777, exist_ok=True)

    def path(self, shown: str) -> Path:
        """Where a path of the page is here."""
        return Path(self.adapted(shown))

    def adapted(self, text: str) -> str:
        """The text with our paths; a port of the page becomes a free one."""
        for shown, ours in (
            ("/srv/www", str(self.www)),
            ("/srv/hello", str(self.hello)),
            ("/usr/lib/cgi-bin", str(self.programs)),
            ('"/run/', f'"{self.sockets}/'),
            ("/usr/local/bin/fcgibox", " ".join(program())),
        ):
            text = text.replace(shown, ours)
        if "1026" in text:
            port, reservation = reserve_port()
            reservation.close()
            text = text.replace("1026", str(port))
        return text
