"""A day in the life of a Trac user, on every arrangement of environments that the recipe offers."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from tests.box import Box
from tests.browser.chromium import chromium
from tests.browser.visitor import Visitor
from tests.trac_projects import Projects, give

pytestmark = pytest.mark.browser

# Not text, longer than any buffer on the way, with every byte value.
CONTENT = b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(40_000))


@pytest.fixture
def browser(place: Path) -> Iterator[Chrome]:
    with chromium(place / "browser") as running:
        yield running


def walk(visitor: Visitor, place: Path, user: str) -> None:
    """Log in, create a ticket with an attachment, edit a wiki page, fetch the attachment, log out."""
    attachment = place / "measurement.bin"
    attachment.write_bytes(CONTENT)
    visitor.log_in(user, f"{user}pw")
    ticket = visitor.create_ticket("The pump is loud – café 日本", "Since '''Monday'''.", attachment)
    assert "The pump is loud – café 日本" in visitor.shows(f"/ticket/{ticket}")
    page = visitor.edit_wiki("WikiStart", f"= Hello =\n\nSee #{ticket}, ''and'' grüße.\n")
    assert "Hello" in page and f"See #{ticket}, and grüße." in page
    assert visitor.download(ticket, attachment.name) == CONTENT
    visitor.log_out()
    assert "logged in as" not in visitor.shows("/wiki")


def test_one_environment_at_the_root(box: Box, browser: Chrome, projects: Projects, place: Path) -> None:
    box.recipe("trac", "--env", projects.single, "--htpasswd", projects.passwords())
    walk(Visitor(browser, box.url, place / "browser"), place, "joe")


def test_one_environment_below_a_prefix(box: Box, browser: Chrome, projects: Projects, place: Path) -> None:
    box.recipe("trac", "--env", projects.single, "--at", "/trac", "--htpasswd", projects.passwords())
    assert box.get("/tracfoo").status == 404
    walk(Visitor(browser, f"{box.url}/trac", place / "browser"), place, "joe")


def test_two_environments(box: Box, browser: Chrome, projects: Projects, place: Path) -> None:
    alpha, beta = (f"{name}={projects.project(name)}" for name in ("alpha", "beta"))
    box.recipe("trac", "--env", alpha, "--env", beta, "--htpasswd", projects.passwords())
    Visitor(browser, box.url, place / "browser").reads("Alpha Project", "Beta Project")
    walk(Visitor(browser, f"{box.url}/alpha", place / "browser"), place, "joe")


def test_a_parent_directory_with_passwords_per_project(
    box: Box, browser: Chrome, projects: Projects, place: Path
) -> None:
    for name, passwords in (("alpha", "alpha"), ("beta", "beta"), ("gamma", "all")):
        shutil.copy(projects.passwords(passwords), projects.parent / f"{name}.htpasswd")
    give(projects.parent)
    box.recipe("trac", "--parent-dir", projects.parent)
    Visitor(browser, box.url, place / "browser").reads("Alpha Project", "Beta Project", "Gamma (empty)")
    # Each file opens its own project and no other.
    assert box.fetch("/alpha/login", user=("ann", "annpw")).status == 401
    assert box.fetch("/beta/login", user=("ann", "annpw")).status == 302
    walk(Visitor(browser, f"{box.url}/gamma", place / "browser"), place, "ann")
