"""A populated Trac site for tests: `build(directory)` makes it once, `Projects` is a copy of it for one test.

    projects/alpha   120 tickets, 20 wiki pages, attachments; a single-file plugin that answers /hello
    projects/beta    15 tickets; an egg in its plugins folder, with a page (/badge) and /chrome/badge/
    projects/gamma   as new
    single           20 tickets, outside of the parent directory
    htpasswd/…       alpha: admin, joe; beta: admin, ann; all: all; the password is the name and "pw"
    shared/          plugins (/shared), htdocs and templates that alpha and beta take over by [inherit]

Everything is made in one process through Trac's API: two seconds instead of a minute of `trac-admin` calls.
The result is kept below .cache/, under a name made from this file and the versions of Python and Trac.
"""

from __future__ import annotations

import hashlib
import io
import os
import pwd
import random
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

CACHE = Path(__file__).resolve().parent.parent / ".cache"
FILE_OWNER = "www-data"
"""As root, whose the environments are: the recipe runs the front and Trac as their owner."""
BIG = bytes(range(256)) * 12 * 1024
"""Content of the 3 MB attachment big.bin of alpha's ticket 1."""
# A PNG of one pixel.
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000a49444154789c63000100000500010d0a2db40000000049454e44ae426082"
)

_WORDS = ("socket", "worker", "pool", "timeout", "login", "report", "café", "naïve", "日本", "patch", "cache")

_HELLO = """\
from trac.core import Component, implements
from trac.web.api import IRequestHandler


class {name}(Component):
    implements(IRequestHandler)

    def match_request(self, req):
        return req.path_info == {path!r}

    def process_request(self, req):
        req.send({answer!r}, 'text/plain')
"""

_BADGE = """\
from trac.core import Component, implements
from trac.web.api import IRequestHandler
from trac.web.chrome import ITemplateProvider, add_stylesheet


class Badge(Component):
    implements(IRequestHandler, ITemplateProvider)

    def match_request(self, req):
        return req.path_info == '/badge'

    def process_request(self, req):
        add_stylesheet(req, 'badge/badge.css')
        return 'badge.html', {'owner': req.authname}

    def get_htdocs_dirs(self):
        from pkg_resources import resource_filename
        return [('badge', resource_filename(__name__, 'htdocs'))]

    def get_templates_dirs(self):
        from pkg_resources import resource_filename
        return [resource_filename(__name__, 'templates')]
"""

_BADGE_PAGE = """\
# extends 'layout.html'
<!DOCTYPE html>
<html>
  <head>
    <title>
      # block title
      Badge ${ super() }
      # endblock title
    </title>
  </head>
  <body>
    # block content
    <h1>badge of ${owner}</h1>
    ${ super() }
    # endblock content
  </body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Projects:
    """Where the parts of one copy are."""

    root: Path

    @property
    def parent(self) -> Path:
        """The directory with alpha, beta and gamma."""
        return self.root / "projects"

    @property
    def single(self) -> Path:
        return self.root / "single"

    def project(self, name: str) -> Path:
        return self.parent / name

    def passwords(self, name: str = "all") -> Path:
        """A password file: alpha, beta or all."""
        return self.root / "htpasswd" / name


def copied(target: Path) -> Projects:
    """A copy of the site of its own, with our FILE_OWNER as its owner when we are root."""
    source = CACHE / f"trac-projects-{_key()}"
    if not source.exists():
        _build_aside(source)
    shutil.copytree(source, target, symlinks=True)
    for inherit in ("plugins", "htdocs", "templates"):
        for name in ("alpha", "beta"):
            settings = target / "projects" / name / "conf" / "trac.ini"
            text = settings.read_text("utf-8")
            settings.write_text(
                text.replace(f"/SITE/shared/{inherit}", str(target / "shared" / inherit)), "utf-8"
            )
    give(target)
    return Projects(target)


def give(directory: Path) -> None:
    """As root: make FILE_OWNER the owner of everything in the directory."""
    if os.geteuid() != 0:
        return
    user = pwd.getpwnam(FILE_OWNER)
    for path in (directory, *directory.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


def _key() -> str:
    parts = (Path(__file__).read_bytes(), sys.version.encode(), version("Trac").encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _build_aside(target: Path) -> None:
    """Build in a process of its own (no test imports Trac) and rename when it is complete."""
    CACHE.mkdir(exist_ok=True)
    for old in CACHE.glob("trac-projects-*"):
        shutil.rmtree(old)
    unfinished = target.with_name(f".{target.name}-{os.getpid()}")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", __name__, str(unfinished)],
        capture_output=True,
        text=True,
        cwd=CACHE.parent,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stderr
    unfinished.rename(target)


def build(target: Path) -> None:
    """Make the whole site in the directory."""
    for part in ("projects", "htpasswd", "shared/plugins", "shared/htdocs", "shared/templates"):
        (target / part).mkdir(parents=True)
    for name, users in {
        "alpha": ("admin", "joe"),
        "beta": ("admin", "ann"),
        "all": ("admin", "joe", "ann"),
    }.items():
        _password_file(target / "htpasswd" / name, users)
    (target / "shared/htdocs/shared.css").write_text("body { --shared: 1 }\n")
    (target / "shared/plugins/shared_note.py").write_text(
        _HELLO.format(name="SharedNote", path="/shared", answer=b"shared\n")
    )

    inherit = [
        ("inherit", f"{kind}_dir", f"/SITE/shared/{kind}") for kind in ("plugins", "htdocs", "templates")
    ]
    # What lies in an inherited plugins folder is off until it is switched on; alpha does.
    shared_on = ("components", "shared_note.*", "enabled")
    _project(target / "projects/alpha", "Alpha Project", 120, 20, [*inherit, shared_on])
    _project(target / "projects/beta", "Beta Project", 15, 5, inherit)
    _project(target / "projects/gamma", "Gamma (empty)", 0, 0, [])
    _project(target / "single", "Single Project", 20, 5, [])

    (target / "projects/alpha/plugins/hello_plugin.py").write_text(
        _HELLO.format(name="Hello", path="/hello", answer=b"hello\n")
    )
    with zipfile.ZipFile(target / "projects/beta/plugins/Badge-1.0.egg", "w") as egg:
        egg.writestr("EGG-INFO/PKG-INFO", "Metadata-Version: 1.1\nName: Badge\nVersion: 1.0\n")
        egg.writestr("EGG-INFO/entry_points.txt", "[trac.plugins]\nbadge = badge\n")
        egg.writestr("EGG-INFO/top_level.txt", "badge\n")
        egg.writestr("badge/__init__.py", _BADGE)
        egg.writestr("badge/htdocs/badge.css", "h1 { color: green }\n")
        egg.writestr("badge/templates/badge.html", _BADGE_PAGE)


def _password_file(path: Path, users: tuple[str, ...]) -> None:
    for number, user in enumerate(users):
        # apr1: any lighttpd and any Trac can read it.
        options = "-bmc" if number == 0 else "-bm"
        subprocess.run(["htpasswd", options, str(path), user, f"{user}pw"], check=True, capture_output=True)


def _project(path: Path, name: str, tickets: int, pages: int, options: list[tuple[str, str, str]]) -> None:
    from trac.env import Environment
    from trac.perm import PermissionSystem

    env = Environment(
        str(path),
        create=True,
        options=[
            ("project", "name", name),
            ("trac", "database", "sqlite:db/trac.db?synchronous=OFF"),
            ("logging", "log_type", "file"),
            ("logging", "log_level", "WARNING"),
            ("timeline", "max_daysback", "400"),
            ("attachment", "max_size", str(100 << 20)),
            *options,
        ],
    )
    permissions = PermissionSystem(env)
    for user, action in (
        ("admin", "TRAC_ADMIN"),
        ("authenticated", "TICKET_APPEND"),
        ("joe", "TICKET_ADMIN"),
    ):
        permissions.grant_permission(user, action)
    for action in ("TICKET_CREATE", "WIKI_MODIFY", "WIKI_CREATE"):
        if action not in permissions.get_user_permissions("authenticated"):
            permissions.grant_permission("authenticated", action)
    (path / "htdocs/site.css").write_text("/* site */\n")
    if tickets:
        _populate(env, path.name, tickets, pages)
    # The setting that made the building fast is not for those who use the result.
    env.config.set("trac", "database", "sqlite:db/trac.db")
    env.config.save()
    env.shutdown()


def _populate(env: Any, name: str, tickets: int, pages: int) -> None:
    from trac.attachment import Attachment
    from trac.ticket.model import Ticket
    from trac.wiki.model import WikiPage

    choice = random.Random(name)
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=25)
    people = ("joe", "ann", "admin", "anonymous")

    def words(count: int) -> str:
        return " ".join(choice.choice(_WORDS) for _ in range(count))

    with env.db_transaction:
        for number in range(1, tickets + 1):
            when = start + timedelta(hours=4 * number)
            ticket = Ticket(env)
            ticket.populate(
                {
                    "summary": f"Ticket {number}: {words(5)}",
                    "reporter": choice.choice(people),
                    "owner": choice.choice(people[:3]),
                    "status": "new",
                    "component": choice.choice(("component1", "component2")),
                    "milestone": choice.choice(("milestone1", "milestone2", "")),
                    "priority": choice.choice(("minor", "major", "critical")),
                    "type": choice.choice(("defect", "enhancement", "task")),
                    "description": f"See wiki:Page1 and #{choice.randint(1, number)}.\n\n"
                    f"{{{{{{#!python\ndef f(x):\n    return x + 1  # {words(3)}\n}}}}}}\n\n{words(60)}",
                }
            )
            ticket.insert(when=when)
            for change in range(1, (12 if number == 1 else choice.randint(0, 3)) + 1):
                ticket = Ticket(env, ticket.id)
                if change == 2:
                    ticket["status"], ticket["resolution"] = "closed", "fixed"
                ticket["priority"] = choice.choice(("minor", "major", "critical", "blocker"))
                comment = f"As in #{choice.randint(1, number)}: '''{words(2)}''' {words(30)}"
                ticket.save_changes(
                    choice.choice(people), comment, when=when + timedelta(minutes=17 * change)
                )

        for number in range(1, pages + 1):
            page = WikiPage(env, f"Page{number}")
            page.text = (
                f"= Page {number} =\n\n[[PageOutline]]\n\n== Section ==\n\n{words(120)}\n\n||= a =||= b =||\n"
                "|| 1 || 2 ||\n\n * WikiStart\n * #1 report:1 milestone:milestone1\n\n[[Image(pixel.png)]]\n"
            )
            page.save(choice.choice(people), "first version", t=start + timedelta(hours=number))
        front = WikiPage(env, "WikiStart")
        front.text = (
            f"= Welcome to {name} =\n\nSee wiki:Page1, #1, report:1 and [timeline:].\n\n{front.text or ''}"
        )
        front.save("admin", "for this project", t=start + timedelta(days=21))

    for realm, parent, filename, data in (
        ("ticket", 1, "hello.txt", b"hello attachment\n" * 10),
        ("ticket", 1, "change.diff", b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n"),
        ("ticket", 1, "big.bin", BIG),
        ("ticket", 1, "naïve file.txt", "café\n".encode()),
        ("wiki", "Page1", "pixel.png", PIXEL),
    ):
        attachment = Attachment(env, realm, parent)
        attachment.author, attachment.description = "joe", "for the tests"
        attachment.insert(filename, io.BytesIO(data), len(data), t=start + timedelta(days=22))


if __name__ == "__main__":
    build(Path(sys.argv[1]))
