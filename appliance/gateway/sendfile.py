"""X-Sendfile: from the value an application sent to the absolute path of the file that we send in its place.

Rules and statuses are lighttpd's (mod_fastcgi, "x-sendfile-docroot"): the value is URL-encoded, must be
UTF-8, is simplified before it is compared, and must lie below one of the pool's directories; none given means
the whole file system. Symbolic links and permissions are the business of whoever opens the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no file is sent: the status for the visitor, the reason for the error log."""

    status: int
    reason: str


def resolve(value: bytes, docroots: Sequence[str] = ()) -> str | Refusal:
    """The path that a `value` of X-Sendfile names, or why it is refused. `docroots` are absolute."""
    try:
        path = unquote_to_bytes(value).decode("utf-8")
    except UnicodeDecodeError:
        return Refusal(502, f"X-Sendfile {value!r} is not UTF-8")
    if not path:
        return Refusal(502, "X-Sendfile is empty")
    if "\0" in path:
        return Refusal(502, f"X-Sendfile {value!r} contains a NUL")
    if not path.startswith("/"):
        return Refusal(502, f"X-Sendfile {path!r} is not an absolute path")
    path = simplified(path)
    # The slash keeps /srv/trac-private out of /srv/trac.
    if docroots and docroot(path, docroots) is None:
        return Refusal(403, f"X-Sendfile {path!r} is not below x-sendfile-docroot ({', '.join(docroots)})")
    return path


def docroot(path: str, docroots: Sequence[str]) -> str | None:
    """The first of `docroots`, simplified, that a simplified `path` lies below."""
    for root in docroots:
        root = simplified(root).rstrip("/")
        if path.startswith(root + "/"):
            return root or "/"
    return None


def simplified(path: str) -> str:
    """An absolute path without empty, "." and ".." segments; a slash at the end stays: it names no file."""
    segments: list[str] = []
    parts = path.split("/")
    for part in parts:
        if part == "..":
            del segments[-1:]
        elif part not in ("", "."):
            segments.append(part)
    if parts[-1] in ("", ".", "..") and segments:
        segments.append("")
    return "/" + "/".join(segments)


def combined_status(application: int, file: int) -> int:
    """The status of an answer by X-Sendfile: a failure shows only through a success of the application.

    `application` is what the application said, `file` what sending the file gave (200, 206, 304, 404 …).
    """
    if file >= 400:
        return file if application < 300 else application
    return file if application == 200 else application
