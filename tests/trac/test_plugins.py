"""Plugins of an existing site work as under any other server."""

from __future__ import annotations

from tests.box import Box
from tests.trac_projects import Projects


def test_plugins_of_a_file_an_egg_and_a_shared_folder(box: Box, projects: Projects) -> None:
    box.recipe("trac", "--parent-dir", projects.parent)
    # A single file in the environment's own folder.
    assert box.get("/alpha/hello").body == b"hello\n"
    # An egg: its page with its own template, and its files under /chrome/.
    page = box.get("/beta/badge")
    assert page.status == 200 and "badge of anonymous" in page.text
    assert box.get("/beta/chrome/badge/badge.css").body == b"h1 { color: green }\n"
    # A folder that [inherit] names: alpha has switched its plugin on, beta has not.
    assert box.get("/alpha/shared").body == b"shared\n"
    assert box.get("/beta/shared").status == 404
    assert box.get("/alpha/chrome/shared/shared.css").body == b"body { --shared: 1 }\n"
    # What one project has is not in another one, although a process serves them all.
    assert box.get("/gamma/hello").status == box.get("/gamma/badge").status == 404
