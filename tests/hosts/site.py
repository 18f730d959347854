"""A configuration with one rule and several hosts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.hosts.backend import Backend


def configuration(place: Path, entries: Sequence[str | Backend], balance: str = "", more: str = "") -> str:
    """All paths go to these hosts; a backend stands for its entry, a text for itself."""
    hosts = ", ".join(entry if isinstance(entry, str) else f"{entry.entry} )" for entry in entries)
    chosen = f'fastcgi.balance = "{balance}"' if balance else ""
    return f"""
        server.modules = ( "mod_fastcgi" )
        server.document-root = "{place}"
        {chosen}
        {more}
        fastcgi.server = ( "/" => ( {hosts} ) )
        """
