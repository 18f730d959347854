"""The printed text served by a real lighttpd gives the same answers as ours: 26 requests to the same data."""

from __future__ import annotations

import os
import pwd
import re
import shutil
from pathlib import Path

import pytest

from tests.box import Box
from tests.http_client import Answer
from tests.lighttpd import Lighttpd
from tests.recipes.sites import OWNER
from tests.server import Server
from tests.trac_projects import Projects

# Trac takes these from the client where it has them, so that pages hold nothing random.
COOKIES = "trac_form_token=0123456789abcdef01234567; trac_session=fedcba9876543210fedcba98"
TOKEN = "__FORM_TOKEN=0123456789abcdef01234567"
FORM = (("Content-Type", "application/x-www-form-urlencoded"),)

GETS = (
    "/trac",
    "/trac/",
    "/trac/alpha",
    "/trac/alpha/",
    "/trac/alpha/wiki",
    "/trac/alpha/wiki/TracGuide?action=history",
    "/trac/alpha/ticket/1",
    "/trac/alpha/report/1?format=csv",
    "/trac/alpha/login",
    "/trac/alpha/hello",
    "/trac/alpha/newticket",
    "/trac/alpha/ticket/99999",
    "/trac/beta/wiki",
    "/trac/unknown/wiki",
    "/trac/alpha/chrome/common/css/trac.css",
    "/trac/alpha/chrome/common/none.css",
    "/trac/alpha/chrome/site/site.css",
    "/trac/alpha/raw-attachment/ticket/1/big.bin",
    "/trac%2Falpha/wiki",
    "/tracfoo",
    "/",
)
HEADERS = ("Content-Type", "Location", "Content-Range", "Content-Disposition", "WWW-Authenticate", "Refresh")


def seen(answer: Answer) -> tuple[object, ...]:
    """What must be the same; pages say how long ago something was."""
    headers = {name: answer.header(name) for name in HEADERS}
    if answer.status >= 400 and b"Trac" not in answer.body:
        # The server's own page; what it looks like is its own affair.
        return answer.status, headers["WWW-Authenticate"]
    body = re.sub(rb"\d+ (second|minute|hour)s?", b"", answer.body)
    return answer.status, *headers.values(), body


def ask(server: Server) -> dict[str, tuple[object, ...]]:
    """All requests, one after the other."""
    base = (("Host", "trac.example"), ("Cookie", COOKIES))
    found = {target: seen(server.get(target, base)) for target in GETS}
    css, big = "/trac/alpha/chrome/common/css/trac.css", "/trac/alpha/raw-attachment/ticket/1/big.bin"
    found["range"] = seen(server.get(big, (*base, ("Range", "bytes=100-1099"))))
    found["beyond"] = seen(server.get(big, (*base, ("Range", "bytes=99999999-"))))
    modified = server.get(css, base).header("Last-Modified")
    assert modified
    found["304"] = seen(server.get(css, (*base, ("If-Modified-Since", modified))))
    login = server.fetch("/trac/alpha/login", headers=base, user=("joe", "joepw"))
    found["login"] = seen(login)
    session = (base[0], ("Cookie", f"{COOKIES}; trac_auth={login.cookies['trac_auth']}"))
    form = f"{TOKEN}&field_summary=From+the+test&field_description=x&field_type=defect&submit=Create"
    found["post"] = seen(
        server.fetch("/trac/alpha/newticket", method="POST", headers=(*session, *FORM), body=form.encode())
    )
    return found


@pytest.fixture
def htpasswd(projects: Projects) -> Projects:
    """With a password file for everybody."""
    shutil.copy(projects.passwords(), projects.parent / "htpasswd")
    (projects.parent / "htpasswd").chmod(0o644)
    return projects


def test_a_real_lighttpd_answers_the_same(
    box: Box, lighttpd: Lighttpd, htpasswd: Projects, place: Path
) -> None:
    words = ("--parent-dir", htpasswd.parent, "--at", "/trac", "--processes", "1")
    # Each server gets the data as they were, at the same place.
    kept = place / "kept"
    shutil.copytree(htpasswd.root, kept, symlinks=True)
    box.recipe("trac", *words)
    ours = ask(box)
    printed = box.run("recipe", "trac", *words, "--print").stdout
    assert box.stop() == 0
    shutil.rmtree(htpasswd.root)
    kept.rename(htpasswd.root)

    sockets = place / "run"
    sockets.mkdir()
    if os.geteuid() == 0:
        owner = pwd.getpwnam(OWNER)
        for path in (sockets, htpasswd.root, *htpasswd.root.rglob("*")):
            os.chown(path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
    lighttpd.serve(re.sub(r'"socket" => "[^"]*/', f'"socket" => "{sockets}/', printed))
    theirs = ask(lighttpd)
    statuses = [ours[name][0] for name in ("/trac/alpha/hello", "range", "beyond", "304", "login", "post")]
    assert statuses == [200, 206, 416, 304, 302, 303]
    different = {name: (ours[name], theirs[name]) for name in ours if ours[name] != theirs[name]}
    assert not {name: (str(mine)[:600], str(other)[:600]) for name, (mine, other) in different.items()}
