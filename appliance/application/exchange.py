"""One request to the WSGI application and its answer (PEP 3333).

An exception before anything was sent is answered 500, never 200; afterwards the answer is left visibly
incomplete. The traceback goes to `wsgi.errors`, not to the browser. `Content-Length` is kept true: what is
over it is cut, what is short of it makes the answer incomplete.
"""

from __future__ import annotations

import re
import traceback
from typing import Any, Callable, Dict, Iterable, List, Tuple, Union

from appliance.application.output import ClientGone, FastCGIOutput, SCGIOutput
from appliance.application.sendfile import FileWrapper, Sendfile

Environ = Dict[str, Any]
Headers = List[Tuple[str, str]]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
Output = Union[FastCGIOutput, SCGIOutput]

# Set by the front (RFC 9110 section 7.6.1); `Status` would be a second one.
_NOT_OURS = frozenset(("connection", "keep-alive", "status", "transfer-encoding", "upgrade"))
_STATUS = re.compile(r"[2-5][0-9]{2} [^\x00-\x1f\x7f]*\Z")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_BAD_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:15vh auto;padding:0 1rem}}</style>
</head><body><h1>{title}</h1><p>{text}</p></body></html>
"""


class Errors:
    """`wsgi.errors`: text that goes to the error log of the front."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def write(self, text: str) -> int:
        """Log `text`."""
        self._output.errors(text.encode("utf-8", "backslashreplace"))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Log several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Nothing to do: what is held leaves with the answer."""


class Exchange:
    """One request: `run` it once."""

    def __init__(self, environ: Environ, output: Output, sendfile: Sendfile) -> None:
        self._environ = environ
        self._output = output
        self._sendfile = sendfile
        self._is_head = environ["REQUEST_METHOD"] == "HEAD"
        self._status = ""
        self._headers: Headers = []
        self._length: int | None = None  # Content-Length, if known
        self._sent = 0  # octets of the body
        self._cut = 0  # octets beyond Content-Length
        self._has_body = True
        self._head_done = False

    def run(self, application: Application) -> bool:
        """Answer the request. True if the answer is complete; otherwise the connection must be closed."""
        try:
            self._call(application)
        except ClientGone:
            return False
        # A guard of the loop: whatever an application raises costs one request, not the process.
        except (Exception, SystemExit):
            self._log(traceback.format_exc())
            if self._output.committed:
                self._log(self._where() + ": the answer had begun; it is left incomplete\n")
                self._output.fail()
                return False
            return self.refuse(
                "500 Internal Server Error", "The application failed; its error log has the reason."
            )
        return True

    def refuse(self, status: str, text: str) -> bool:
        """Answer with an error page of ours instead of calling the application. True if it was delivered."""
        self._output.reset()
        page = _PAGE.format(title=status, text=text).encode("utf-8")
        self._status = status
        self._headers = [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store")]
        self._length, self._sent, self._head_done, self._has_body = len(page), 0, False, True
        try:
            self._send_head()
            self._emit(page)
            self._output.finish()
        except ClientGone:
            return False
        return True

    def start_response(self, status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], None]:
        """PEP 3333. Raises ValueError for what must not stand in a head, and `exc_info` if it is too late."""
        if exc_info:
            try:
                if self._output.committed:
                    raise exc_info[1].with_traceback(exc_info[2])
                self._output.reset()
                self._head_done, self._sent, self._cut, self._has_body = False, 0, 0, True
            finally:
                exc_info = None
        elif self._status:
            raise ValueError("start_response() is called a second time without exc_info")
        if not _STATUS.match(status):
            raise ValueError(f"{status!r} is no final status: 200 to 599, a blank and a phrase are")
        self._length = None
        kept: Headers = []
        for name, value in headers:
            lower = name.lower()
            if not _NAME.match(name) or _BAD_IN_VALUE.search(value):
                raise ValueError(
                    f"the response header {name!r}: {value!r} has characters that end or split it"
                )
            if lower == "content-length":
                if not (value.isascii() and value.isdigit()):
                    raise ValueError(f"Content-Length {value!r} is no number")
                self._length = int(value)
            elif lower not in _NOT_OURS:
                kept.append((name, value))
        self._status, self._headers = status, kept
        return self.write

    def write(self, data: bytes) -> None:
        """The imperative way to send the body."""
        self._emit(data)
        self._leave()

    def _call(self, application: Application) -> None:
        result = application(self._environ, self.start_response)
        try:
            if not self._by_path(result):
                self._iterate(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        self._finish()

    def _by_path(self, result: Iterable[bytes]) -> bool:
        """Leave the sending of a file to the front, if both of us may."""
        if (
            not isinstance(result, FileWrapper)
            or self._head_done
            or self._is_head
            or self._status[:3] != "200"
        ):
            return False
        path = self._sendfile.path_for(result, self._length)
        if path is None:
            return False
        self._headers.append(("X-Sendfile", path))
        self._length = None
        self._has_body = False
        return True

    def _iterate(self, result: Iterable[bytes]) -> None:
        whole = isinstance(result, (list, tuple)) and len(result) <= 1
        if whole and self._status and not self._head_done and self._length is None and self._may_have_body():
            self._length = sum(map(len, result))
        for piece in result:
            if piece:
                self._emit(piece)
                if not whole:
                    self._leave()

    def _emit(self, data: bytes) -> None:
        if not isinstance(data, bytes):
            raise TypeError(f"the application's body has {type(data).__name__} in it, not bytes")
        self._send_head()
        if not self._has_body:
            return
        if self._length is not None and self._sent + len(data) > self._length:
            over = self._sent + len(data) - self._length
            self._cut += over
            data = data[: len(data) - over]
        self._sent += len(data)
        self._output.body(data)

    def _leave(self) -> None:
        """Send what there is, unless it is all: then it leaves together with the end of the answer."""
        if self._sent != self._length:
            self._output.flush()

    def _send_head(self) -> None:
        if self._head_done:
            return
        if not self._status:
            raise ValueError("the application sends a body before it has called start_response()")
        self._has_body = self._has_body and self._may_have_body()
        lines = [f"Status: {self._status}"]
        lines += [f"{name}: {value}" for name, value in self._headers]
        if self._length is not None and self._status[:3] != "204":
            lines.append(f"Content-Length: {self._length}")
        self._head_done = True
        bounded = self._length if self._has_body else 0
        self._output.head(b"".join(_encode(line) + b"\r\n" for line in lines), bounded)

    def _may_have_body(self) -> bool:
        return not self._is_head and self._status[:3] not in ("204", "304")

    def _finish(self) -> None:
        self._send_head()
        if self._cut:
            self._log(
                f"{self._where()}: the body is {self._cut} octets longer than its Content-Length; cut\n"
            )
        if self._has_body and self._length is not None and self._sent < self._length:
            raise ValueError(f"the body has {self._sent} octets, its Content-Length says {self._length}")
        self._output.finish()

    def _where(self) -> str:
        environ = self._environ
        return f"{environ['REQUEST_METHOD']} {environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"

    def _log(self, text: str) -> None:
        self._output.errors(text.encode("utf-8", "backslashreplace"))


def _encode(line: str) -> bytes:
    # PEP 3333 has Latin-1; a file name in a header may have more, and the web is UTF-8.
    try:
        return line.encode("latin-1")
    except UnicodeEncodeError:
        return line.encode("utf-8")
