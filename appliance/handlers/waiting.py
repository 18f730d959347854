"""The page that a browser gets while an application starts: it comes again by itself until that is over.

Only a person who looks at a window is served by it. Whatever else asks (a script, a form that is sent, a
monitor) waits for the real answer, as all do in the first second. The status is 503: no cache and no search
engine takes the page for what stands at this address.
"""

from __future__ import annotations

import os

from appliance.config.waiting import BUILT_IN
from appliance.handlers.exchange import Log
from appliance.http.request import Request
from appliance.http.response import Response

PATIENCE = 1.0  # seconds that a request waits before its browser gets the page
AGAIN = 2  # seconds until the browser asks again
LARGEST = 1 << 18  # octets of a page

_PAGE = f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="{AGAIN}">
<title>Starting …</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:12vh auto;padding:0 1em;color:#222}}
h1{{font-size:1.4em}}p{{color:#555}}
@media(prefers-color-scheme:dark){{body{{background:#181818;color:#eee}}p{{color:#aaa}}}}</style></head>
<body><h1>Starting …</h1>
<p>The application is starting. The page you asked for comes by itself in a moment.</p></body>
</html>
""".encode()


class WaitingPage:
    """The page of one pool."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def response(self) -> Response:
        """It once."""
        again = b"%d" % AGAIN
        headers = [
            (b"Content-Type", b"text/html; charset=utf-8"),
            (b"Cache-Control", b"no-store"),
            (b"Retry-After", again),
            (b"Refresh", again),
        ]
        return Response(503, headers, self._body)


def load(choice: str, name: str, log: Log) -> WaitingPage | None:
    """The page that `waiting-page` chooses for the pool `name`; None for none.

    A file is read once, here: later it would be a disk wait on the loop.
    """
    if not choice:
        return None
    if choice == BUILT_IN:
        return WaitingPage(_PAGE)
    try:
        fd = os.open(choice, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(fd, "rb") as file:
            body = file.read(LARGEST + 1)
    except OSError as error:
        problem = f"cannot be read ({error.strerror}): the front's user must be able to"
    else:
        if len(body) <= LARGEST:
            return WaitingPage(body)
        problem = f"has more than {LARGEST >> 10} KiB"
    log.warning(f"{name}: the waiting-page {choice} {problem}; ours is shown in its place until a reload")
    return WaitingPage(_PAGE)


def is_for(request: Request) -> bool:
    """Whether a person looks at the answer: a browser that opens a page (Fetch Metadata: "navigate")."""
    return (
        request.method == "GET"
        and "text/html" in request.header("accept").lower()
        and request.header("x-requested-with").lower() != "xmlhttprequest"
        and request.header("sec-fetch-mode") in ("", "navigate")
    )
