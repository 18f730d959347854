"""Answers by X-Sendfile and X-Sendfile2: files that we send in the place of what an application wrote.

A file that cannot be sent shows only through a success of the application (status below 300), as in lighttpd.
X-Sendfile answers conditions and ranges of the client; with X-Sendfile2 the application does that itself, and
its status and fields stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable

from appliance.config import PoolDefinition
from appliance.gateway import sendfile
from appliance.gateway.answer import AnswerHead
from appliance.gateway.roots import roots
from appliance.gateway.sendfile import Piece, Refusal
from appliance.http.files import FileCache, refusal
from appliance.http.opening import Unavailable, failure, open_regular
from appliance.http.request import Request
from appliance.http.response import FileBody, OpenFile, Response


class Sending:
    """What one application may send."""

    __slots__ = ("_definition", "_files", "_follow_links", "_roots")

    def __init__(
        self, definition: PoolDefinition, files: FileCache, *, follow_links: bool, chroot: str | None = None
    ) -> None:
        """`follow_links`: server.follow-symlink; otherwise no link below x-sendfile-docroot is followed.
        `chroot`: server.chroot, the front's."""
        self._definition = definition
        self._roots = roots(definition, chroot)
        self._files = files
        self._follow_links = follow_links

    def answer(self, request: Request, head: AnswerHead, complain: Callable[[str], None]) -> Response:
        """The answer to a request whose application sent `head`; `complain` is told why it is none."""
        assert head.sendfile is not None
        try:
            return (self._parts if head.ranged else self._file)(request, head, head.sendfile)
        except Unavailable as unavailable:
            complain(unavailable.reason)
            if head.status >= 300:
                return Response(head.status, head.headers, close=head.close)
            return refusal(unavailable)

    def _file(self, request: Request, head: AnswerHead, value: bytes) -> Response:
        path = sendfile.resolve(value, self._definition.x_sendfile_docroots, self._roots)
        if isinstance(path, Refusal):
            raise Unavailable(path.status, path.reason)
        try:
            return self._files.send(request, path, head.headers, head.status, self._beneath(path))
        except Unavailable as unavailable:
            raise _explained(unavailable, "X-Sendfile", path) from None

    def _parts(self, request: Request, head: AnswerHead, value: bytes) -> Response:
        pieces = sendfile.pieces(value, self._definition.x_sendfile_docroots, self._roots)
        if isinstance(pieces, Refusal):
            raise Unavailable(pieces.status, pieces.reason)
        bodies: list[FileBody] = []
        try:
            for piece in pieces:
                bodies.append(self._part(piece))
        except Unavailable:
            for body in bodies:
                body.close()
            raise
        first, *others = bodies
        whole = FileBody(first.file, first.parts, others)
        if request.method == "HEAD":
            whole.close()
            return Response(head.status, head.headers, close=head.close, length=whole.length)
        return Response(head.status, head.headers, whole, close=head.close)

    def _part(self, piece: Piece) -> FileBody:
        try:
            fd, found = open_regular(piece.path, self._beneath(piece.path))
        except OSError as error:
            raise _explained(failure(error), "X-Sendfile2", piece.path) from None
        except Unavailable as unavailable:
            raise _explained(unavailable, "X-Sendfile2", piece.path) from None
        file = OpenFile(fd, found.st_size)
        part = piece.within(file.size)
        if part is None:
            file.close()
            asked = f"{piece.first}-{'' if piece.last is None else piece.last}"
            raise Unavailable(502, f"X-Sendfile2 {piece.path!r} has {file.size} octets and no part {asked}")
        return FileBody(file, [part])

    def _beneath(self, path: str) -> str | None:
        return None if self._follow_links else sendfile.docroot(path, self._definition.x_sendfile_docroots)


def _explained(unavailable: Unavailable, field: str, path: str) -> Unavailable:
    return Unavailable(
        unavailable.status,
        f"no {field} of {path!r} ({unavailable.status}, {unavailable.reason}):"
        " it must exist and be readable for the user of the front",
    )
