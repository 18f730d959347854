"""HTTP dates, RFC 9110 section 5.6.7: one format is written, three are read.

A date that is not exactly one of the three is no date: RFC 9110 section 13.1.3 wants such a condition
ignored, so nothing here guesses.
"""

from __future__ import annotations

import calendar
import re
import time
from functools import lru_cache

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_CLOCK = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_FORMATS = (
    # Sun, 06 Nov 1994 08:49:37 GMT
    re.compile(rf"(?:{'|'.join(_DAYS)}), (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_CLOCK} GMT"),
    # Sunday, 06-Nov-94 08:49:37 GMT (RFC 850)
    re.compile(
        r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, "
        rf"(?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_CLOCK} GMT"
    ),
    # Sun Nov  6 08:49:37 1994 (asctime)
    re.compile(rf"(?:{'|'.join(_DAYS)}) {_MONTH} (?P<day>[ 0-9][0-9]) {_CLOCK} (?P<year>[0-9]{{4}})"),
)


@lru_cache(maxsize=512)
def http_date(seconds: int) -> bytes:
    """The date of a moment (seconds since the epoch, UTC) as it goes into a header field."""
    year, month, day, hour, minute, second, weekday, _, _ = time.gmtime(seconds)
    date = f"{_DAYS[weekday]}, {day:02d} {_MONTHS[month - 1]} {year:04d}"
    return f"{date} {hour:02d}:{minute:02d}:{second:02d} GMT".encode("ascii")


@lru_cache(maxsize=512)
def parse_http_date(text: str) -> int | None:
    """Seconds since the epoch, or None if `text` is not a date."""
    for pattern in _FORMATS:
        if found := pattern.fullmatch(text.strip(" \t")):
            break
    else:
        return None
    year, day = int(found["year"]), int(found["day"])
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"])
    month = _MONTHS.index(found["month"]) + 1
    if len(found["year"]) == 2:
        year = _full_year(year)
    if year < 1 or hour > 23 or minute > 59 or second > 60:
        return None
    if not 1 <= day <= calendar.monthrange(year, month)[1]:
        return None
    return calendar.timegm((year, month, day, hour, minute, second))


def _full_year(two_digits: int) -> int:
    """A year more than 50 years ahead belongs to the century before (RFC 9110 section 5.6.7)."""
    now = time.gmtime().tm_year
    year = now - now % 100 + two_digits
    return year - 100 if year > now + 50 else year
