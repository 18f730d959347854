"""Sample data for a new environment, through Trac's own API: something to click on, and to delete later."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

_MILESTONE = "First release"

_PAGES = {
    "WikiStart": """= Welcome

This is a Trac with sample data. Log in as `admin` to change anything.

 * [wiki:HowWeWork How we work]: a page of the wiki; every page has a history
 * [report:1 Active tickets], the [milestone:"First release"] and the [/timeline timeline]
 * [wiki:TracGuide]: the manual, inside

== Try it
 1. Edit this page.
 1. [/newticket Create a ticket], attach a file to it.
 1. Refer to it from here: `#1` becomes #1.
""",
    "HowWeWork": """= How we work

[[PageOutline]]

== From idea to release
||= State =||= What it means =||
|| new || somebody wrote it down ||
|| accepted || somebody works on it ||
|| closed || it is done, or will not be ||

== Code
{{{#!python
def greet(name: str) -> str:
    return f"Hello, {name}"
}}}

The notes of our last meeting are attached to this page.
""",
}

_NOTES = """Notes of the meeting

- The front page needs a picture.
- Uploads of more than ten megabytes work now.
- Next meeting: when the first release is out.
"""

_TICKETS = (
    # summary, type, priority, owner, description, comments
    (
        "The front page has no picture",
        "enhancement",
        "minor",
        "ann",
        "A picture says what we do. See [wiki:WikiStart].",
        ("A drawing would do as well.",),
    ),
    (
        "Umlauts in file names are lost",
        "defect",
        "major",
        "joe",
        "Upload `Übersicht.txt`, download it again:\n{{{\n?bersicht.txt\n}}}",
        ("I can repeat it.", "Only with the old client; the new one sends UTF-8."),
    ),
    (
        "Write down how to make a backup",
        "task",
        "major",
        "admin",
        "`trac-admin DIR hotcopy` copies a running environment.",
        (),
    ),
    (
        "Search finds nothing in attachments",
        "defect",
        "trivial",
        "ann",
        "Searching for a word that only an attachment holds gives no result. As it should be? See #3.",
        ("It is. Closing.",),
    ),
)
_CLOSED = 4  # the last one


def populate(environment: Any, admin: str) -> None:
    """Fill a new environment with a milestone, pages with an attachment, and tickets with comments."""
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=10)
    _milestone(environment, start + timedelta(days=40))
    _pages(environment, admin, start)
    _tickets(environment, admin, start)


def _milestone(environment: Any, due: datetime) -> None:
    from trac.ticket.model import Milestone

    for old in Milestone.select(environment):
        old.delete()
    milestone = Milestone(environment)
    milestone.name = _MILESTONE
    milestone.due = due
    milestone.description = "What must be in it before anybody else sees it."
    milestone.insert()


def _pages(environment: Any, admin: str, start: datetime) -> None:
    from trac.attachment import Attachment
    from trac.wiki.model import WikiPage

    for number, (name, text) in enumerate(_PAGES.items()):
        page = WikiPage(environment, name)
        page.text = text
        page.save(admin, "sample data", t=start + timedelta(hours=number))
    attachment = Attachment(environment, "wiki", "HowWeWork")
    attachment.author, attachment.description = admin, "Notes of our last meeting"
    content = _NOTES.encode()
    attachment.insert("notes.txt", io.BytesIO(content), len(content), t=start + timedelta(hours=3))


def _tickets(environment: Any, admin: str, start: datetime) -> None:
    from trac.ticket.model import Ticket

    for number, (summary, kind, priority, owner, description, comments) in enumerate(_TICKETS, 1):
        when = start + timedelta(days=number)
        ticket = Ticket(environment)
        values = {
            "summary": summary,
            "type": kind,
            "priority": priority,
            "owner": owner,
            "description": description,
            "reporter": admin,
            "status": "new",
            "milestone": _MILESTONE,
            "component": "component1",
        }
        for field, value in values.items():
            ticket[field] = value
        ticket.insert(when=when)
        for turn, comment in enumerate(comments, 1):
            if number == _CLOSED and turn == len(comments):
                ticket["status"], ticket["resolution"] = "closed", "worksforme"
            ticket.save_changes(owner, comment, when=when + timedelta(hours=5 * turn))
