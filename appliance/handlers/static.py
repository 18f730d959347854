"""Files below the document root and the targets of alias.url: the last handler, so it always answers.

What is answered when is lighttpd's (mod_staticfile, mod_indexfile), with these differences: preconditions of
RFC 9110 section 13 are all honoured, and a file without an entry in mimetype.assign has validators too.
"""

from __future__ import annotations

from typing import Protocol

from appliance.config import Settings
from appliance.handlers import physical
from appliance.handlers.access import denied
from appliance.handlers.exchange import Exchange, Handler, Log, Outcome
from appliance.handlers.physical import Kind, Physical
from appliance.http.files import Changed, File, FileCache, refusal, with_validators
from appliance.http.mime import MediaTypes
from appliance.http.opening import Unavailable
from appliance.http.request import Request
from appliance.http.response import Header, Response, error_response
from appliance.http.serialize import Fields
from appliance.http.target import encode_path, encode_query

_ALLOW = b"OPTIONS, GET, HEAD, POST"
_REMEMBERED = 4096  # paths


class Services(Protocol):
    """What this handler needs of the front."""

    @property
    def files(self) -> FileCache: ...

    @property
    def log(self) -> Log: ...


class Static:
    """The static files of one scope."""

    def __init__(self, settings: Settings, services: Services) -> None:
        self._files = services.files
        self._log = services.log
        self._resolver = physical.build(settings, services)
        self._media_types = MediaTypes(settings.pairs("mimetype.assign"))
        self._excluded = settings.strings("static-file.exclude-extensions")
        self._path_info = not settings.boolean("static-file.disable-pathinfo")
        self._ranges = settings.boolean("server.range-requests")
        self._tags = EntityTags(settings)
        self._headers: dict[str, tuple[File, list[Header]]] = {}

    def answer(self, exchange: Exchange) -> Outcome:
        """Answer."""
        request = exchange.request
        found = self._resolver.find(request.path)
        if found.kind is not Kind.FILE or (request.method != "GET" and request.method != "HEAD"):
            return self._rare(request, found)
        return self._file(request, found)

    def _file(self, request: Request, found: Physical) -> Response:
        file = found.file
        assert file is not None
        ready = self._headers.get(found.path)
        if ready is None or ready[0] is not file or found.path_info:
            if found.path.endswith(self._excluded) or (found.path_info and not self._path_info):
                return denied()
            ready = self._prepare(file)
        try:
            return self._files.respond(request, file, ready[1], use_ranges=self._ranges)
        except Changed:
            return self._changed(request, file)
        except Unavailable as unavailable:
            return self._unavailable(request, unavailable)

    def _prepare(self, file: File) -> tuple[File, list[Header]]:
        """The header fields of a file; they change only when the file does."""
        typed: list[Header] = [(b"Content-Type", self._media_types.lookup(file.path))]
        headers = with_validators(typed, file, self._tags.tag(file))
        if not self._ranges:
            headers = [header for header in headers if header[0] != b"Accept-Ranges"]
        if len(self._headers) >= _REMEMBERED:
            self._headers.clear()
        ready = self._headers[file.path] = (file, Fields(headers, file.size))
        return ready

    def _changed(self, request: Request, file: File) -> Response:
        try:
            fresh = self._files.renew(file)
            return self._files.respond(request, fresh, self._prepare(fresh)[1], use_ranges=self._ranges)
        except Unavailable as unavailable:
            return self._unavailable(request, unavailable)

    def _rare(self, request: Request, found: Physical) -> Response:
        """Everything but GET and HEAD of a file, in the order in which lighttpd decides."""
        if request.path == "*" and request.method == "OPTIONS":
            return Response(200, [(b"Allow", _ALLOW)])
        if found.file is None:
            return self._unavailable(request, Unavailable(found.status, found.reason))
        if found.kind is Kind.UNSLASHED:
            return _add_slash(request)
        if request.method == "OPTIONS":
            return Response(200, [(b"Allow", _ALLOW)])
        if request.method not in ("GET", "HEAD", "POST"):
            return error_response(501, "Files can be read here, nothing else.", [(b"Allow", _ALLOW)])
        if found.kind is Kind.DIRECTORY:
            return denied()
        return self._file(request, found)

    def _unavailable(self, request: Request, unavailable: Unavailable) -> Response:
        if unavailable.status != 404:
            tell = self._log.info if unavailable.status == 403 else self._log.error
            tell(f"{request.path!r} is answered with {unavailable.status}: {unavailable.reason}")
        return refusal(unavailable)


class EntityTags:
    """static-file.etags and etag.use-…: which facts about a file its entity tag is made of.

    lighttpd uses the inode by default, we only when told so: it differs between hosts with the same files.
    """

    def __init__(self, settings: Settings) -> None:
        self._inode = settings.is_set("etag.use-inode") and settings.boolean("etag.use-inode")
        self._modified = settings.boolean("etag.use-mtime")
        self._size = settings.boolean("etag.use-size")
        self._enabled = settings.boolean("static-file.etags")

    def tag(self, file: File) -> str:
        """The tag with its quotes, "" for none."""
        if not self._enabled or not file.etag:
            return ""
        if self._modified and self._size and not self._inode:
            return file.etag
        _, inode, _, size, modified, _ = file.identity
        chosen = ((self._modified, modified), (self._size, size), (self._inode, inode))
        facts = "-".join(f"{fact:x}" for wanted, fact in chosen if wanted)
        return f'"{facts}"' if facts else ""


def _add_slash(request: Request) -> Response:
    """To the same path with a slash: relative to the host, so that it is right behind any other front.

    The path is in its final form, so it cannot begin with two slashes and lead to another host.
    """
    location = encode_path(request.path) + "/"
    if request.query:
        location = f"{location}?{encode_query(request.query)}"
    return Response(301, [(b"Location", location.encode("ascii"))])


def build(settings: Settings, services: Services) -> Handler:
    """The handler of one scope."""
    return Static(settings, services).answer
