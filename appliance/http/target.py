"""The request target, RFC 9112 section 3.2: taken apart, decoded once, and brought to one form.

What is compared, matched and opened later is this form only, so no two spellings of a path can be treated
differently. The rules are lighttpd's defaults (server.http-parseopts): controls and NUL are refused, also
encoded; an encoded slash is a slash; empty and dot segments go; the result must be UTF-8. A query belongs to
the application: it stays as sent, so that forms with line breaks or an old character set arrive (lighttpd
refuses those).
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

LONGEST = 65536
"""Octets of a target: what a rewrite may make of one is bounded as well."""

_CONTROLS = re.compile(rb"[\x00-\x20\x7f]")
_DECODED_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_IRREGULAR = re.compile(r"//|/\.")  # what a path in its final form can only contain in names such as ".git"
_ABSOLUTE = re.compile(rb"(https?)://([^/?]*)(.*)", re.IGNORECASE | re.DOTALL)
_AUTHORITY = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[^\x00-\x20\x7f@\[\]:\\<>\"`{}|^]+)(?::[0-9]*)?")
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Target(NamedTuple):
    """A request target in its final form."""

    path: str  # decoded, "/…"; "*" for the asterisk form, which only OPTIONS may use
    query: str  # as sent, without "?"; octets beyond ASCII as surrogates where they are no UTF-8
    authority: bytes | None  # of the absolute form: it replaces Host (RFC 9112 section 3.2.2)


class BadTarget(Exception):
    """A target that cannot be served; `reason` is for the log and for the visitor."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason


def parse_target(target: bytes) -> Target:
    """Take a target apart. Raises BadTarget with the status to answer."""
    if len(target) > LONGEST:
        raise BadTarget(414, f"the request target is longer than {LONGEST} octets")
    if _CONTROLS.search(target):
        raise BadTarget(400, "the request target contains a blank or a control character")
    authority: bytes | None = None
    if not target.startswith(b"/"):
        if target == b"*":
            return Target("*", "", None)
        found = _ABSOLUTE.fullmatch(target)
        if found is None:
            raise BadTarget(400, "the request target is neither a path nor an http URL")
        authority = found[2]
        if not _AUTHORITY.fullmatch(authority):
            raise BadTarget(400, "the host name in the request target cannot be right")
        target = found[3]
        if not target.startswith(b"/"):  # "http://host" and "http://host?query"
            target = b"/" + target
    # A fragment never belongs into a request; lighttpd drops it as well.
    raw_path, _, query = target.partition(b"#")[0].partition(b"?")
    return Target(_path(raw_path), query.decode("utf-8", "surrogateescape"), authority)


def _path(raw: bytes) -> str:
    decoded = unquote_to_bytes(raw) if b"%" in raw else raw
    try:
        path = decoded.decode("utf-8")
    except UnicodeDecodeError:
        raise BadTarget(400, "the path is not UTF-8") from None
    if _DECODED_CONTROLS.search(path):
        raise BadTarget(400, "the path contains a control character")
    return _without_dots(path) if _IRREGULAR.search(path) else path


def _without_dots(path: str) -> str:
    """RFC 3986 section 5.2.4, with empty segments removed as well; ".." above the root stays at the root."""
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            if kept:
                kept.pop()
        elif segment not in ("", "."):
            kept.append(segment)
    directory = segments[-1] in ("", ".", "..") and kept
    return "/" + "/".join(kept) + ("/" if directory else "")


def normalized(path: str, query: str) -> str:
    """Path and query as one text in URL form, the form that patterns of url.redirect are matched against."""
    text = quote(path, safe="/!$&'()*+,;=:@", encoding="utf-8", errors="surrogateescape")
    return f"{text}?{encode_query(query)}" if query else text


def encode_path(path: str) -> str:
    """A decoded path as it goes into a Location field; the set of octets left as they are is lighttpd's."""
    return quote(path, safe="/!()*", encoding="utf-8", errors="surrogateescape")


def encode_query(query: str) -> str:
    """A query as sent, made fit for a Location field: only what no URL may contain is encoded."""
    encoded = quote(query, safe="!$&'()*+,;=:@/?%", encoding="utf-8", errors="surrogateescape")
    return _LONE_PERCENT.sub("%25", encoded) if "%" in encoded else encoded
