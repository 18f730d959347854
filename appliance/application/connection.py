"""One connection of a front: reads a request without waiting, then answers it.

Reading is driven by the server's poll, so that a slow upload pins nothing; only the application and its
answer block. The WSGI environment is made here, from the parameters as they came (PEP 3333: octets as
Latin-1).
"""

from __future__ import annotations

import socket
import time
from typing import Any, Callable

from appliance.application import records, scgi
from appliance.application.body import Body
from appliance.application.exchange import Application, Errors, Exchange, Output
from appliance.application.log import note
from appliance.application.output import ClientGone, FastCGIOutput, SCGIOutput, limit_sending, send
from appliance.application.records import ProtocolError
from appliance.application.sendfile import FileWrapper, Sendfile, peer_uid

_READ_SIZE = 65536


class _Connection:
    """What both protocols share."""

    _receiver: records.Receiver | scgi.Receiver

    def __init__(self, connection: socket.socket, sendfile_directories: tuple[str, ...]) -> None:
        limit_sending(connection)
        self.socket = connection
        self.used = False  # at least one request was answered: from now on it is idle between requests
        self.since = time.monotonic()  # of the last octet that came
        self.open = True
        self._body = Body()
        self._sendfile = Sendfile(sendfile_directories, peer_uid(connection))

    @property
    def idle(self) -> bool:
        """Nothing of a request has come."""
        return self._receiver.idle

    @property
    def ready(self) -> bool:
        """A request is complete: `answer` it."""
        return self.open and self._receiver.complete

    def close(self) -> None:
        """Close it, whatever was going on."""
        self.open = False
        self._body.close()
        self.socket.close()

    def _new_body(self) -> Callable[[bytes], object]:
        self._body = Body()
        return self._body.write

    def read(self) -> None:
        """Take what is there, once; to be called when the socket is readable."""
        try:
            data = self.socket.recv(_READ_SIZE, socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            if not self.idle:
                note("the web server closed its connection in the middle of a request")
            self.close()
            return
        self.since = time.monotonic()
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        try:
            self._receiver.feed(data)
        except ProtocolError as error:
            note(f"connection closed: {error}")
            self.close()

    def _run(self, application: Application, output: Output) -> bool:
        """Answer the complete request; True if the answer is complete."""
        environ = _environ(self._receiver.parameters)
        exchange = Exchange(environ, output, self._sendfile)
        problem = self._adjust_body(environ)
        if problem:
            output.errors(f"{problem}\n".encode("utf-8", "backslashreplace"))
            return exchange.refuse(
                "400 Bad Request" if self._body.error is None else "500 Internal Server Error",
                "The request could not be read."
                if self._body.error is None
                else "The upload could not be stored.",
            )
        environ["wsgi.errors"] = Errors(output)
        environ["wsgi.file_wrapper"] = FileWrapper
        try:
            return exchange.run(application)
        finally:
            self._body.close()

    def _adjust_body(self, environ: dict[str, Any]) -> str:
        """Make body and CONTENT_LENGTH agree; returns what is wrong if they cannot, else ""."""
        body = self._body
        said = environ.get("CONTENT_LENGTH") or str(body.size)
        if not (said.isascii() and said.isdigit()):
            return f"400: CONTENT_LENGTH is {said!r}"
        if int(said) > body.size:
            return f"400: {body.size} octets of a body came where CONTENT_LENGTH says {said}"
        try:
            if body.error is not None:
                raise body.error
            if int(said) < body.size:
                body.cut(int(said))
            environ["wsgi.input"] = body.reader()
        except OSError as error:
            body.error = error
            return f"500: a request body of {body.size} octets cannot be stored (TMPDIR says where): {error}"
        environ["CONTENT_LENGTH"] = said
        return ""


class FastCGIConnection(_Connection):
    """FastCGI: requests one after the other, as long as the front keeps the connection."""

    def __init__(self, connection: socket.socket, sendfile_directories: tuple[str, ...]) -> None:
        super().__init__(connection, sendfile_directories)
        self._receiver: records.Receiver = records.Receiver(self._new_body)
        self._half_closed = False

    def _feed(self, data: bytes) -> None:
        super()._feed(data)
        if self.open and (self._receiver.replies or self._receiver.aborted):
            try:
                self._reply()
                if self._receiver.aborted:
                    self._end(records.end_request(self._receiver.request_id))
            except ClientGone:
                self.close()

    def _reply(self) -> None:
        replies, self._receiver.replies = self._receiver.replies, []
        if replies:
            send(self.socket, replies)
        if self._receiver.hang_up and not self._receiver.request_id:
            self.close()

    def _end(self, last: bytes) -> None:
        """End an aborted request whose answer has not begun."""
        send(self.socket, [last])
        keep = self._receiver.keep
        self._receiver.finished()
        self._body.close()
        self.used = True
        if not keep:
            self.close()

    def answer(self, application: Application) -> None:
        """Run the application on the complete request."""
        receiver = self._receiver
        output = FastCGIOutput(self.socket, receiver.request_id, self._watch)
        if receiver.failure is not None:
            status = "431 Request Header Fields Too Large" if receiver.oversized else "400 Bad Request"
            output.errors(f"{status[:3]}: {receiver.failure}\n".encode())
            complete = Exchange({"REQUEST_METHOD": "GET"}, output, self._sendfile).refuse(
                status, receiver.failure
            )
        else:
            complete = self._run(application, output)
            if not complete and receiver.aborted:
                complete = self._end_aborted()
        keep = receiver.keep and complete and not self._half_closed
        receiver.finished()
        self.used = True
        self.since = time.monotonic()
        if not keep:
            self.close()

    def _end_aborted(self) -> bool:
        # The front asked for this end (section 5.4), so a cut answer is no surprise to it.
        try:
            send(self.socket, [records.end_request(self._receiver.request_id)])
        except ClientGone:
            return False
        return True

    def _watch(self) -> None:
        """Between two pieces of an answer: did the front abort it, or ask something? Raises ClientGone."""
        while not self._half_closed:
            try:
                data = self.socket.recv(_READ_SIZE, socket.MSG_DONTWAIT)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                raise ClientGone(error.errno, "the web server closed the connection") from error
            if not data:
                # It may only have closed its sending side: writing will tell.
                self._half_closed = True
                return
            try:
                self._receiver.feed(data)
            except ProtocolError as error:
                note(f"connection closed: {error}")
                raise ClientGone(0, str(error)) from error
            self._reply()
            if self._receiver.aborted:
                raise ClientGone(0, "the web server aborted the request")


class SCGIConnection(_Connection):
    """SCGI: one request."""

    def __init__(self, connection: socket.socket, sendfile_directories: tuple[str, ...]) -> None:
        super().__init__(connection, sendfile_directories)
        self._receiver: scgi.Receiver = scgi.Receiver(self._new_body)

    def answer(self, application: Application) -> None:
        """Run the application on the complete request, and close the connection: that ends the answer."""
        self._run(application, SCGIOutput(self.socket))
        self.close()


def _environ(parameters: dict[bytes, bytes]) -> dict[str, Any]:
    environ: dict[str, Any] = {
        name.decode("latin-1"): value.decode("latin-1") for name, value in parameters.items()
    }
    environ.pop("HTTP_PROXY", None)  # a client's header must not become a proxy setting (httpoxy)
    environ.setdefault("REQUEST_METHOD", "GET")
    environ.setdefault("SCRIPT_NAME", "")
    environ.setdefault("PATH_INFO", "")
    environ.setdefault("QUERY_STRING", "")
    environ.setdefault("SERVER_NAME", "localhost")
    environ.setdefault("SERVER_PROTOCOL", "HTTP/1.0")
    secure = (
        environ.get("HTTPS", "").lower() in ("on", "1", "yes") or environ.get("REQUEST_SCHEME") == "https"
    )
    if not environ.get("SERVER_PORT"):
        environ["SERVER_PORT"] = "443" if secure else "80"
    environ["wsgi.version"] = (1, 0)
    environ["wsgi.url_scheme"] = "https" if secure else "http"
    environ["wsgi.multithread"] = False
    environ["wsgi.multiprocess"] = True
    environ["wsgi.run_once"] = False
    return environ
