"""Regular files as answers: looked up, remembered for a second, sent whole or in parts.

Used by the static handler and for X-Sendfile. What is known of a file is believed for one second, as in
lighttpd's stat cache; then one `stat` decides whether it still holds. RFC 9110 sections 8.8, 13 and 14.
"""

from __future__ import annotations

import os
import stat
import time
from collections import OrderedDict
from typing import Protocol

from appliance.http import conditional, ranges
from appliance.http.dates import http_date, parse_http_date
from appliance.http.opening import NotAFile, Unavailable, failure, identity, look_up, open_regular
from appliance.http.request import Request
from appliance.http.response import FileBody, Header, OpenFile, Response, error_response

SMALL = 64 * 1024  # octets up to which a file's content is kept in memory
MEMORY = 16 * 1024 * 1024  # octets of content kept in all
KNOWN = 4096  # files and missing files remembered
LONGEST = 512  # characters of a path that is remembered: a flood of invented paths must not fill the memory
FRESH = 1.0  # seconds without asking the file system again

# A file changed this recently (seconds) may change again without its time stamp moving: file systems count in
# ticks of up to two seconds. Until then it gets no validator that could lie (RFC 9110 sections 8.8.1 and
# 8.8.2.2).
SETTLED = 2.0

_EXPLANATIONS = {
    403: "You may not see this.",
    404: "There is nothing at this address.",
    503: "This cannot be sent at the moment. Please try again.",
}


class Clock(Protocol):
    """Coarse monotonic seconds."""

    def now(self) -> float: ...


class Changed(Unavailable):
    """The file changed after the snapshot was taken: its length and its validators are no longer true."""


class File:
    """What a path named at one moment: a snapshot, so it may be compared by identity.

    Only its content may go, when the cache lets go of it: whoever still holds the snapshot would otherwise
    hold memory that nobody counts. It is then sent from the disk.
    """

    __slots__ = ("beneath", "content", "etag", "identity", "is_directory", "modified", "path", "size")

    def __init__(
        self, path: str, beneath: str | None, found: os.stat_result, content: bytes | None, settled: bool
    ) -> None:
        self.path = path
        self.beneath = beneath
        self.identity = identity(found)
        self.is_directory = stat.S_ISDIR(found.st_mode)
        self.size = found.st_size if content is None else len(content)
        self.content = content
        # Time and size are the same on every host that has a true copy, and after a restart; an inode is not.
        self.etag = f'"{found.st_mtime_ns:x}-{self.size:x}"' if settled else ""
        self.modified = found.st_mtime_ns // 1_000_000_000 if settled else None

    @property
    def settled(self) -> bool:
        """False as long as the file may still change under the same time stamp."""
        return self.modified is not None


class _Known:
    __slots__ = ("checked", "failure", "file", "reserved")

    def __init__(self, file: File | None, failure: Unavailable | None, checked: float) -> None:
        self.file = file
        self.failure = failure
        self.checked = checked
        self.reserved = len(file.content) if file is not None and file.content is not None else 0

    def forget(self) -> int:
        """Let go of the content; returns the octets that were reserved for it."""
        if self.file is not None:
            self.file.content = None
        return self.reserved


class FileCache:
    """Looks files up and answers requests with them. One per front; runs on the loop only."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._known: OrderedDict[tuple[str, str | None], _Known] = OrderedDict()
        self._memory = 0

    @property
    def memory(self) -> int:
        """Octets of file content held."""
        return self._memory

    def open(self, path: str, beneath: str | None = None) -> File:
        """What is at `path`, at most one second old: a readable regular file, or a directory.

        With `beneath` (a directory that contains `path`) symbolic links below it are refused; the way to it
        may have some. Raises Unavailable: 404 if there is nothing, 403 if it may not be read, is a refused
        link, or is neither file nor directory.
        """
        key = (path, beneath)
        known = self._known.get(key)
        now = self.clock.now()
        if known is None or now - known.checked >= FRESH:
            known = self._look(key, known, now)
        if known.failure is not None:
            raise known.failure.with_traceback(None)
        assert known.file is not None
        return known.file

    def _look(self, key: tuple[str, str | None], known: _Known | None, now: float) -> _Known:
        """Ask the file system, and keep the old snapshot if it still holds."""
        path, beneath = key
        try:
            found = look_up(path, beneath)
            if known is not None and known.file is not None:
                file = known.file
                if file.settled and file.identity == identity(found):
                    known.checked = now
                    self._known.move_to_end(key)
                    return known
            fresh = _Known(_load(path, beneath, found), None, now)
        except Unavailable as unavailable:
            fresh = _Known(None, unavailable.with_traceback(None), now)
        except (OSError, ValueError) as error:
            fresh = _Known(None, failure(error), now)
        if len(path) <= LONGEST and (fresh.failure is None or fresh.failure.status < 500):
            self._remember(key, fresh)
        return fresh

    def renew(self, file: File) -> File:
        """A new snapshot of what `respond` found changed. Raises Unavailable."""
        old = self._known.pop((file.path, file.beneath), None)
        if old is not None:
            self._memory -= old.forget()
        return self.open(file.path, file.beneath)

    def _remember(self, key: tuple[str, str | None], fresh: _Known) -> None:
        old = self._known.pop(key, None)
        if old is not None:
            self._memory -= old.forget()
        self._known[key] = fresh
        self._memory += fresh.reserved
        # Entries move once a second at most: "least recently used" to a second, and a hit costs nothing.
        while self._memory > MEMORY or len(self._known) > KNOWN:
            _, dropped = self._known.popitem(last=False)
            self._memory -= dropped.forget()

    def send(
        self,
        request: Request,
        path: str,
        headers: list[Header],
        status: int = 200,
        beneath: str | None = None,
    ) -> Response:
        """Answer with the file at `path` (X-Sendfile). Raises Unavailable.

        `headers` are the application's; its own ETag and Last-Modified count instead of the file's.
        """
        file = self.open(path, beneath)
        if file.is_directory:
            raise Unavailable(403, "it is a directory")
        try:
            return self.respond(request, file, with_validators(headers, file), status)
        except Changed:
            file = self.renew(file)
            return self.respond(request, file, with_validators(headers, file), status)

    def respond(
        self,
        request: Request,
        file: File,
        headers: list[Header],
        status: int = 200,
        *,
        use_ranges: bool = True,
    ) -> Response:
        """Answer a request with a file whose header fields are ready (see `with_validators`).

        Preconditions and ranges count for a 200 only (RFC 9110 sections 13.2.1 and 14.2); they are compared
        with the validators in `headers`, so what was announced is what is compared. The list is never
        changed. Raises Unavailable if the file vanished meanwhile, Changed if `renew` and new header fields
        are needed.
        """
        if request.conditional and status == 200:
            return self._respond_to_conditions(request, file, headers, use_ranges)
        content = file.content
        if content is not None:
            return Response(status, headers, content)
        return _whole(request, file, headers, status)

    def _respond_to_conditions(
        self, request: Request, file: File, headers: list[Header], use_ranges: bool
    ) -> Response:
        fields = request.fields
        etag, modified, content_type = _validators(headers)
        decided = conditional.evaluate(request.method, fields, etag, modified)
        if decided == 304:
            return Response(304, [(name, value) for name, value in headers if name != b"Accept-Ranges"])
        if decided == 412:
            return error_response(412, "The document is no longer the one this request is about.")
        if (
            use_ranges
            and request.method == "GET"
            and "range" in fields
            and request.version != "HTTP/1.0"
            and file.size
            and conditional.range_applies(fields, etag, modified)
        ):
            pieces = ranges.select(fields["range"], file.size)
            if pieces is not None:
                return _partial(file, headers, content_type, pieces)
        if file.content is not None:
            return Response(200, headers.copy(), file.content)
        return _whole(request, file, headers, 200)


def refusal(unavailable: Unavailable) -> Response:
    """The page for a file that cannot be sent; the reason is for the log, it may tell too much."""
    again: list[Header] = [(b"Retry-After", b"1")] if unavailable.status == 503 else []
    return error_response(unavailable.status, _EXPLANATIONS.get(unavailable.status, ""), again)


def with_validators(headers: list[Header], file: File, etag: str | None = None) -> list[Header]:
    """A new list: `headers`, and ETag, Last-Modified and Accept-Ranges where they do not stand in it already.

    `etag` replaces the file's own tag; "" leaves it out.
    """
    present = {name.lower() for name, _ in headers}
    made = list(headers)
    tag = file.etag if etag is None else etag
    if tag and b"etag" not in present:
        made.append((b"ETag", tag.encode("latin-1")))
    if file.modified is not None and b"last-modified" not in present:
        made.append((b"Last-Modified", http_date(file.modified)))
    if b"accept-ranges" not in present:
        made.append((b"Accept-Ranges", b"bytes"))
    return made


def _validators(headers: list[Header]) -> tuple[str, int | None, bytes]:
    """ETag, Last-Modified (seconds since the epoch) and Content-Type, as they are about to be sent."""
    etag, modified, content_type = "", None, b""
    for name, value in headers:
        lower = name.lower()
        if lower == b"etag":
            etag = value.decode("latin-1")
        elif lower == b"last-modified":
            modified = parse_http_date(value.decode("latin-1"))
        elif lower == b"content-type":
            content_type = value
    return etag, modified, content_type


def _whole(request: Request, file: File, headers: list[Header], status: int) -> Response:
    if request.method == "HEAD":
        return Response(status, headers.copy(), length=file.size)
    return Response(status, headers.copy(), FileBody(_reopen(file), [(0, file.size)]))


def _partial(file: File, headers: list[Header], content_type: bytes, pieces: list[ranges.Piece]) -> Response:
    if not pieces:
        unsatisfied: list[Header] = [(b"Content-Range", ranges.content_range(None, file.size))]
        return error_response(416, "The document has no such part.", unsatisfied)
    parts: list[bytes | ranges.Piece]
    if len(pieces) == 1:
        made = [*headers, (b"Content-Range", ranges.content_range(pieces[0], file.size))]
        parts = [pieces[0]]
    else:
        multipart_type, parts = ranges.multipart(pieces, file.size, content_type)
        made = [header for header in headers if header[0].lower() != b"content-type"]
        made.insert(0, (b"Content-Type", multipart_type))
    content = file.content
    if content is None:
        return Response(206, made, FileBody(_reopen(file), parts))
    body = b"".join(
        part if isinstance(part, bytes) else content[part[0] : part[0] + part[1]] for part in parts
    )
    return Response(206, made, body)


def _reopen(file: File) -> OpenFile:
    """A descriptor for one response. The file must still be the one that its header fields describe."""
    try:
        fd, found = open_regular(file.path, file.beneath)
    except OSError as error:
        raise failure(error) from None
    now = identity(found)
    if now != file.identity:
        # Without validators (see SETTLED) a file that only grew, such as a log, is still what was announced.
        grown = not file.settled and now[:2] == file.identity[:2] and found.st_size >= file.size
        if not grown:
            os.close(fd)
            raise Changed(503, "the file is being replaced at this moment")
    return OpenFile(fd, file.size)


def _load(path: str, beneath: str | None, found: os.stat_result) -> File:
    """Open a file once: that proves that it can be read, and fetches a small one's content."""
    if stat.S_ISDIR(found.st_mode):
        return File(path, beneath, found, None, settled=True)
    if not stat.S_ISREG(found.st_mode):
        raise NotAFile(403, "it is neither a file nor a directory")
    fd, found = open_regular(path, beneath)
    try:
        content = None
        settled = time.time() - found.st_mtime >= SETTLED
        if found.st_size <= SMALL:
            content = _read(fd, SMALL + 1)
            if len(content) > SMALL:
                content = None
            if content is None or len(content) != found.st_size:
                settled = False  # it changed while it was read
                found = os.fstat(fd)
    finally:
        os.close(fd)
    return File(path, beneath, found, content, settled)


def _read(fd: int, limit: int) -> bytes:
    pieces = []
    while limit > 0 and (piece := os.read(fd, limit)):
        pieces.append(piece)
        limit -= len(piece)
    return b"".join(pieces)
