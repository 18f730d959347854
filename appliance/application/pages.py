"""The pages that stand beside Trac's own: the index of projects, and what is said where there is no project.

Self-contained: they must work when every environment is broken.
"""

from __future__ import annotations

from html import escape
from typing import Any, Callable, Iterable, NamedTuple


class Entry(NamedTuple):
    """A project on the index page. `unavailable` says why it cannot be opened."""

    name: str
    title: str
    description: str
    href: str
    unavailable: str | None


_FRAME = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
:root {{ --ink: #222; --soft: #666; --ground: #f6f5f2; --card: #fff; --line: #ddd; --accent: #b00; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #eee; --soft: #aaa; --ground: #1b1b1b; --card: #262626; --line: #444; --accent: #f88; }}
}}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }}
main {{ max-width: 60rem; margin: 0 auto; padding: 2.5rem 1rem; }}
h1 {{ font-size: 1.7rem; font-weight: 600; margin: 0 0 1.5rem; }}
ul {{ list-style: none; margin: 0; padding: 0; display: grid; gap: 1rem;
     grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); }}
li {{ background: var(--card); border: 1px solid var(--line); border-radius: .5rem; }}
li {{ overflow-wrap: anywhere; }}
li > * {{ display: block; padding: 1rem 1.2rem; height: 100%; color: inherit; text-decoration: none; }}
li > a {{ border-radius: .5rem; outline-offset: -1px; }}
li > a:hover, li > a:focus-visible {{ outline: 2px solid var(--accent); }}
h2 {{ font-size: 1.1rem; margin: 0 0 .3rem; color: var(--accent); }}
p {{ margin: 0; }} .soft {{ color: var(--soft); }} .gone h2 {{ color: var(--soft); }}
main > p {{ margin: 0 0 1rem; }} a {{ color: var(--accent); }}
</style>
</head>
<body><main>
<h1>{title}</h1>
{content}
</main></body>
</html>
"""

StartResponse = Callable[..., Any]


def index(entries: Iterable[Entry]) -> str:
    """The page that links all projects."""
    items = [_item(entry) for entry in entries]
    content = f"<ul>\n{''.join(items)}</ul>" if items else '<p class="soft">There is no project yet.</p>'
    return _FRAME.format(title="Projects", content=content)


def _item(entry: Entry) -> str:
    text = f'<h2>{escape(entry.title)}</h2><p class="soft">{escape(entry.description)}</p>'
    if entry.unavailable is not None:
        return f'<li class="gone"><div>{text}<p>Unavailable: {escape(entry.unavailable)}</p></div></li>\n'
    return f'<li><a href="{escape(entry.href)}/">{text}</a></li>\n'


def unknown_project(name: str, index_href: str) -> str:
    """The page for a name that nothing is behind."""
    content = (
        f"<p>There is no project <strong>{escape(name)}</strong> here.</p>\n"
        f'<p><a href="{escape(index_href)}/">All projects</a></p>'
    )
    return _FRAME.format(title="No such project", content=content)


def unavailable_project(reason: str) -> str:
    """The page for a project that cannot be opened; details stand in the error log."""
    content = (
        f"<p>This project is unavailable: {escape(reason)}.</p>\n"
        "<p>The administrator finds in the server's error log what to do.</p>"
    )
    return _FRAME.format(title="Project unavailable", content=content)


def answer(
    start_response: StartResponse, status: str, page: str, content_type: str = "text/html"
) -> list[bytes]:
    """Answer with a page of ours."""
    octets = page.encode("utf-8", "replace")
    headers: list[tuple[str, str]] = [
        ("Content-Type", f"{content_type}; charset=utf-8"),
        ("Content-Length", str(len(octets))),
        ("Cache-Control", "no-cache"),
    ]
    start_response(status, headers)
    return [octets]
