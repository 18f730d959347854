"""X-Sendfile: from the value an application sent to the absolute path of the file that we send in its place;
X-Sendfile2: the same for parts of files, one after the other.

Rules and statuses are lighttpd's (mod_fastcgi, "x-sendfile-docroot"): the value is URL-encoded, must be
UTF-8, is simplified before it is compared, and must lie below one of the pool's directories; none given means
the whole file system. Symbolic links and permissions are the business of whoever opens the file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from appliance.gateway.roots import Roots


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no file is sent: the status for the visitor, the reason for the error log."""

    status: int
    reason: str


def resolve(value: bytes, docroots: Sequence[str] = (), roots: Roots | None = None) -> str | Refusal:
    """The path that a `value` of X-Sendfile names, or why it is refused. `docroots` are absolute, and the
    front's names; with `roots` the value is a name of the application's."""
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
    if roots is not None:
        inside = roots.to_front(path)
        if inside is None:
            return Refusal(404, f"X-Sendfile {path!r} is outside of server.chroot ({roots.front})")
        path = inside
    # The slash keeps /srv/trac-private out of /srv/trac.
    if docroots and docroot(path, docroots) is None:
        return Refusal(403, f"X-Sendfile {path!r} is not below x-sendfile-docroot ({', '.join(docroots)})")
    return path


MOST_PIECES = 100
"""Parts that one answer by X-Sendfile2 may have: each holds a descriptor until it is sent."""

_piece = re.compile(rb"([^ ]*) (\d{1,18})-(\d{0,18})").fullmatch


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file."""

    path: str
    first: int  # the octet that it begins with
    last: int | None  # its last octet; None: to the end of the file

    def within(self, size: int) -> tuple[int, int] | None:
        """Offset and length in a file of `size` octets; None if there is no such part.

        As in lighttpd: a last octet beyond the end is the end, and nothing from the very end on is a part.
        """
        end = size if self.last is None else min(self.last + 1, size)
        if self.first > size or (self.last is not None and self.last + 1 < self.first):
            return None
        return self.first, max(0, end - self.first)


def pieces(value: bytes, docroots: Sequence[str] = (), roots: Roots | None = None) -> list[Piece] | Refusal:
    """The parts that a `value` of X-Sendfile2 names ("path first-last, path first-"), or why it is refused.

    A path is encoded as for X-Sendfile, and its commas as well; "last" is inclusive.
    """
    found: list[Piece] = []
    for text in value.split(b","):
        text = text.strip(b" \t")
        if not text:
            continue
        if len(found) == MOST_PIECES:
            return Refusal(502, f"X-Sendfile2 has more than {MOST_PIECES} parts")
        matched = _piece(text)
        if matched is None:
            return Refusal(
                502, f"X-Sendfile2 {text[:512]!r} is no path with a range, such as /srv/a%20b 0-99"
            )
        path = resolve(matched[1], docroots, roots)
        if isinstance(path, Refusal):
            return path
        found.append(Piece(path, int(matched[2]), int(matched[3]) if matched[3] else None))
    return found or Refusal(502, "X-Sendfile2 names no file")


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
