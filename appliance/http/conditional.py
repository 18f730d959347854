"""Preconditions, RFC 9110 section 13: which of them decide, in which order, and what they decide.

Pure: field values and validators in, a decision out. An entity tag is text as it stands in the field, quotes
and `W/` included; "" means the representation has none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from appliance.http.dates import parse_http_date

# RFC 9110 section 8.8.3: any octet but the quote and controls; a comma inside the quotes belongs to the tag.
_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')

FIELDS = frozenset(
    ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range"),
)


def evaluate(method: str, fields: Mapping[str, str], etag: str, modified: int | None) -> int | None:
    """304 or 412 if a precondition decides, None if the request is carried out (RFC 9110 section 13.2.2).

    `fields` has lower-case names; `modified` is the Last-Modified date in seconds since the epoch, None
    without one. The representation exists: a missing one is answered before anybody asks here.
    """
    reads = method in ("GET", "HEAD")
    if "if-match" in fields:
        if not _listed(fields["if-match"], etag, strong=True):
            return 412
    elif "if-unmodified-since" in fields and modified is not None:
        limit = parse_http_date(fields["if-unmodified-since"])
        if limit is not None and modified > limit:
            return 412
    if "if-none-match" in fields:
        if _listed(fields["if-none-match"], etag, strong=False):
            return 304 if reads else 412
    elif reads and "if-modified-since" in fields and modified is not None:
        limit = parse_http_date(fields["if-modified-since"])
        if limit is not None and modified <= limit:
            return 304
    return None


def range_applies(fields: Mapping[str, str], etag: str, modified: int | None) -> bool:
    """Whether If-Range lets Range count (RFC 9110 section 13.1.5): strong tags, dates exactly equal."""
    condition = fields.get("if-range")
    if condition is None:
        return True
    condition = condition.strip(" \t")
    if condition.startswith(('"', "W/")):
        return condition == etag and not etag.startswith("W/")
    return modified is not None and parse_http_date(condition) == modified


def _listed(field: str, etag: str, *, strong: bool) -> bool:
    if field.strip(" \t") == "*":
        return True
    if not etag or (strong and etag.startswith("W/")):
        return False
    if strong:
        return etag in _TAG.findall(field)
    return etag.removeprefix("W/") in (tag.removeprefix("W/") for tag in _TAG.findall(field))
