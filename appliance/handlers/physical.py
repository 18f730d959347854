"""From a URL path to a path on this machine: document root, aliases, index files, PATH_INFO.

The rule it protects: nothing outside the document root or an alias's target is ever named, and what is there
is said once, for every handler in the same way. Behaviour is lighttpd's (mod_alias, mod_indexfile, and its
physical path check) except that with symbolic links switched off the document root itself may lie behind one.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from appliance.config import Settings
from appliance.http.files import FRESH, LONGEST, File, FileCache
from appliance.http.opening import NotAFile, Unavailable

_REMEMBERED = 4096  # URL paths


class Services(Protocol):
    """What finding files needs of the front."""

    @property
    def files(self) -> FileCache: ...


class Kind(enum.Enum):
    """What is on the disk."""

    FILE = "file"
    DIRECTORY = "directory"  # asked for with its slash, and without an index file
    UNSLASHED = "unslashed"  # a directory asked for without its slash
    MISSING = "missing"  # 404
    REFUSED = "refused"  # 403, or 5xx if the file system fails: see `status`


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where a URL path leads by the configuration alone, whether or not anything is there."""

    path: str  # in the file system
    root: str  # the document root, or the alias's target: symbolic links are judged below it
    url_prefix: str  # the part of the URL path that `root` stands for; "" for the document root


@dataclass(frozen=True, slots=True, eq=False)
class Physical:
    """What a URL path names in the file system."""

    kind: Kind
    path: str  # file system path: with the index file, without PATH_INFO
    root: str  # the document root, or the alias's target
    url_prefix: str  # the part of the URL path that `root` stands for; "" for the document root
    url_path: str  # the part of the URL path that names `path` (SCRIPT_NAME); with the index file
    path_info: str  # the rest, "" or "/…"
    file: File | None  # for FILE and the directories
    status: int  # what to answer for MISSING and REFUSED; 200 otherwise
    reason: str  # for the log


class Resolver:
    """The mapping in one scope; its answers may be a second older than the file cache's."""

    def __init__(
        self,
        files: FileCache,
        root: str,
        *,
        aliases: Sequence[tuple[str, str]] = (),
        index_names: Sequence[str] = (),
        denied: Sequence[str] = (),
        follow_links: bool = True,
        hide_dots: bool = False,
    ) -> None:
        self._files = files
        self._clock = files.clock
        self._root = root.rstrip("/")
        self._aliases = tuple(aliases)
        self._index_names = tuple(index_names)
        self._denied = tuple(denied)
        self._follow_links = follow_links
        self._hide_dots = hide_dots
        self._remembered: dict[str, tuple[float, Physical]] = {}

    def locate(self, url_path: str) -> Place | None:
        """Where the configuration leads, without a look at the disk. None: it leaves an alias's target (403).

        The first alias whose key the path begins with counts. Key and target are joined as text, as in
        lighttpd, but only where that stays inside the target: with "/x" => "/dir" the path "/xy" is not
        "/diry".
        """
        for prefix, target in self._aliases:
            if not url_path.startswith(prefix):
                continue
            rest = url_path[len(prefix) :]
            if target.endswith("/"):
                if rest == ".." or rest.startswith("../"):  # "/x" => "/dir/" and "/x../secret"
                    return None
                path = target + rest.removeprefix("/")
            elif not rest or rest.startswith("/"):
                path = target + rest
            elif prefix.endswith("/"):
                path = f"{target}/{rest}"
            else:
                continue
            return Place(path, target.rstrip("/") or "/", prefix)
        return Place(self._root + url_path, self._root or "/", "")

    def find(self, url_path: str) -> Physical:
        """What is there. Cheap for a path that was asked for within the last second."""
        remembered = self._remembered.get(url_path)
        now = self._clock.now()
        if remembered is not None and now < remembered[0]:
            return remembered[1]
        found = self._find(url_path)
        if remembered is not None and _same(found, remembered[1]):
            found = remembered[1]
        elif len(self._remembered) >= _REMEMBERED:
            self._remembered.clear()
        if len(url_path) <= LONGEST:
            self._remembered[url_path] = (now + FRESH, found)
        return found

    def _find(self, url_path: str) -> Physical:
        if not url_path.startswith("/"):  # the asterisk form: it names no file
            return _nothing(url_path, Place("", "", ""), 400, "not a path")
        place = self.locate(url_path)
        if place is None:
            return _nothing(url_path, Place("", "", ""), 403, "the path leaves the target of its alias.url")
        try:
            found = self._look(url_path, place)
        except Unavailable as unavailable:
            return _nothing(url_path, place, unavailable.status, unavailable.reason)
        if self._hide_dots and hidden(found.url_path):
            return _nothing(url_path, place, 404, "hidden by fcgibox.dot-files")
        if found.path.endswith(self._denied):
            return _nothing(url_path, place, 403, "denied by url.access-deny")
        return found

    def _look(self, url_path: str, place: Place) -> Physical:
        try:
            file = self._open(place.path, place)
        except Unavailable as unavailable:
            if unavailable.status != 404:
                raise
            return self._script(url_path, place)
        if not file.is_directory:
            if place.path.endswith("/"):
                return self._script(url_path, place)
            return _there(Kind.FILE, url_path, place, file)
        if not url_path.endswith("/"):
            return _there(Kind.UNSLASHED, url_path, place, file)
        return self._index(url_path, place) or _there(Kind.DIRECTORY, url_path, place, file)

    def _index(self, url_path: str, place: Place) -> Physical | None:
        """The first index file that exists; as in lighttpd "/name" is below the document root."""
        for name in self._index_names:
            if name.startswith("/"):
                inner, path = name, self._root + name
                chosen = Place(path, self._root or "/", "")
            else:
                inner, path = url_path + name, place.path.rstrip("/") + "/" + name
                chosen = Place(path, place.root, place.url_prefix)
            try:
                file = self._open(path, chosen)
            except Unavailable as unavailable:
                if unavailable.status == 404:
                    continue
                raise
            if not file.is_directory:
                return _there(Kind.FILE, inner, chosen, file)
        return None

    def _script(self, url_path: str, place: Place) -> Physical:
        """The regular file on the way to a path that does not exist; the rest of the path is its PATH_INFO.

        From the root down, so that a path of a thousand invented segments costs one question.
        """
        end = place.path.find("/", max(len(place.root), 1))
        while end > 0:
            path = place.path[:end]
            try:
                file = self._open(path, place)
            except NotAFile:
                break
            if not file.is_directory:
                path_info = place.path[end:]
                script = Place(path, place.root, place.url_prefix)
                return _there(Kind.FILE, url_path[: -len(path_info)], script, file, path_info)
            end = place.path.find("/", end + 1)
        raise Unavailable(404, "no such file")

    def _open(self, path: str, place: Place) -> File:
        return self._files.open(path, None if self._follow_links else place.root)


def hidden(url_path: str) -> bool:
    """Whether a segment begins with a dot; `/.well-known/` (RFC 8615) is for everybody to see."""
    if "/." not in url_path:
        return False
    rest = url_path.removeprefix("/.well-known/")
    return rest.startswith(".") or "/." in rest


def _there(kind: Kind, url_path: str, place: Place, file: File, path_info: str = "") -> Physical:
    return Physical(kind, place.path, place.root, place.url_prefix, url_path, path_info, file, 200, "")


def _nothing(url_path: str, place: Place, status: int, reason: str) -> Physical:
    kind = Kind.MISSING if status == 404 else Kind.REFUSED
    return Physical(kind, place.path, place.root, place.url_prefix, url_path, "", None, status, reason)


def _same(one: Physical, other: Physical) -> bool:
    return (
        one.file is other.file
        and one.path == other.path
        and one.status == other.status
        and one.kind is other.kind
    )


def build(settings: Settings, services: Services) -> Resolver:
    """The resolver of one scope; every handler of the scope gets the same one."""
    return _resolver(settings, services.files)


@lru_cache(maxsize=1024)
def _resolver(settings: Settings, files: FileCache) -> Resolver:
    return Resolver(
        files,
        settings.optional_string("server.document-root") or "",
        aliases=settings.pairs("alias.url"),
        index_names=settings.strings("index-file.names"),
        denied=settings.strings("url.access-deny"),
        follow_links=settings.boolean("server.follow-symlink"),
        hide_dots=settings.string("fcgibox.dot-files") == "deny",
    )
