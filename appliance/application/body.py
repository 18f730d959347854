"""The request body: in memory while it is small, then in an unlinked temporary file.

The application gets the file itself as `wsgi.input`, so it can seek, and reading lines of an upload without
newlines takes linear time. A body that cannot be stored is still received to its end, because the front reads
our answer only after it has sent its request; the request is then answered 500.
"""

from __future__ import annotations

import io
import tempfile
from typing import BinaryIO, cast

IN_MEMORY = 256 * 1024
"""Octets of one body that stay in memory."""


class Body:
    """One request body. `write` it piece by piece, then take `reader()` once."""

    def __init__(self) -> None:
        self.size = 0
        self.error: OSError | None = None
        self._file: BinaryIO = io.BytesIO()
        self._in_memory = True

    def write(self, piece: bytes) -> None:
        """Append a piece; a failure is kept in `error`, and what follows is dropped."""
        self.size += len(piece)
        if self.error is not None:
            return
        try:
            if self._in_memory and self.size > IN_MEMORY:
                self._move()
            self._file.write(piece)
        except OSError as error:
            self.error = error
            self.close()

    def _move(self) -> None:
        held = cast(io.BytesIO, self._file)
        self._file = cast(BinaryIO, tempfile.TemporaryFile(prefix="fcgibox-body-"))  # noqa: SIM115
        self._in_memory = False
        self._file.write(held.getbuffer())

    def cut(self, size: int) -> None:
        """Drop what is beyond `size` octets."""
        self._file.truncate(size)
        self.size = size

    def reader(self) -> BinaryIO:
        """The file, at its beginning. Raises OSError if the rest of it cannot be written."""
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Give the memory or the file back."""
        try:
            self._file.close()
        except OSError:  # buffered octets of a full disk: nobody reads them any more
            self._file = io.BytesIO()
