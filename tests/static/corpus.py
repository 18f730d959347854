"""The requests of `requests.txt`, and the tree of files and the configuration that they are about."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

HOST = "box.test"
LONG_AGO = 1_600_000_000_123_456_789  # ns: files that have settled, and whose time is not a whole second

_OCTET = re.compile(r"\\x([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class Case:
    """One request; `target` and values still with their placeholders."""

    line: str
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]

    def raw(self, etag: str = "", date: str = "") -> bytes:
        """What goes over the wire."""
        fields = [("Host", HOST), ("Connection", "close")]
        fields += [
            (name, value.replace("{etag}", etag).replace("{date}", date)) for name, value in self.headers
        ]
        head = f"{self.method} {self.target} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in fields)
        return (head + "\r\n").encode("latin-1")


def parse(line: str) -> Case:
    """One line of `requests.txt`."""
    request, *fields = line.split(" | ")
    method, target = request.split(" ", 1)
    octets = _OCTET.sub(lambda found: chr(int(found[1], 16)), target)
    headers = [field.partition(": ") for field in fields]
    return Case(line, method, octets, tuple((name, value) for name, _, value in headers))


def cases() -> list[Case]:
    """All of `requests.txt`."""
    lines = Path(__file__).with_name("requests.txt").read_text("utf-8").splitlines()
    return [parse(line) for line in lines if line.strip() and not line.startswith("# ")]


def plant(base: Path) -> None:
    """Make the tree: `root` is the document root, what lies beside it is reached by aliases only."""
    root = base / "root"
    for name in (
        "root/index",
        "root/dir",
        "root/php",
        "root/sp dir",
        "root/ü",
        "al/sub",
        "al2",
        "gonebeside",
    ):
        (base / name).mkdir(parents=True)
    (root / "d'(a)*!$,;:@&=+~-_.[]{}|^`\"<>#?%\\z").mkdir()
    (root / "a.txt").write_text("hello world, this is a text")
    (root / "big.bin").write_bytes(bytes(range(256)) * 800)
    for name in ("archive.tar.gz", "noext", "UPPER.TXT", "README", ".dotfile.txt", "x.inc", "backup~"):
        (root / name).write_text(f"content of {name}")
    for name in ("with space.txt", "ümläut.txt", "a+b.txt", "q?x.txt", "100%.txt", "a;b.txt", "x.php"):
        (root / name).write_text(f"content of {name}")
    (root / "empty.txt").touch()
    (root / "index.html").write_text("<p>start</p>")
    (root / "index/index.html").write_text("<p>inner</p>")
    (root / "php/index.php").write_text("<?php echo 1;")
    (root / "link.txt").symlink_to("a.txt")
    (root / "outside").symlink_to("../al")
    os.mkfifo(root / "fifo")
    for name in ("al/f.txt", "al2/f.txt", "gonebeside/f.txt", "out.txt"):
        (base / name).write_text(f"content of {name}")
    settle(base)


def settle(base: Path) -> None:
    """Give every file a time long ago."""
    for directory, _, names in os.walk(base):
        for name in names:
            os.utime(Path(directory, name), ns=(LONG_AGO, LONG_AGO), follow_symlinks=False)


def configuration(base: Path) -> str:
    """What both servers run."""
    return f"""
server.document-root = "{base}/root"
server.modules = ("mod_access", "mod_alias", "mod_redirect")
index-file.names = ("index.html", "index.php")
mimetype.assign = (
  ".txt" => "text/plain; charset=utf-8",
  ".html" => "text/html",
  ".gz" => "application/gzip",
  ".tar.gz" => "application/x-tgz",
  ".bin" => "application/octet-stream",
  "README" => "text/x-readme",
)
url.access-deny = ("~", ".inc")
static-file.exclude-extensions = (".php")
alias.url = (
  "/als/" => "{base}/al/",
  "/alx" => "{base}/al/",
  "/al2" => "{base}/al2",
  "/al" => "{base}/al",
  "/gone" => "{base}/gone",
  "/one" => "{base}/out.txt",
)
url.redirect = (
  "^/old/(.*)" => "/new/$1",
  "^/to/(\\w+)$" => "https://$1.example/${{url.path}}?from=${{url.authority}}",
  "^/same" => "/other${{qsa}}",
  "^/never" => "",
)
"""
