"""One request as every handler sees it.

Text is `str` where handlers compare it (paths are UTF-8 with surrogateescape, so that any byte survives a
round trip through `os.fsencode`), and `bytes` where it is passed on as it came.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is known of a connection before its first octet."""

    scheme: str
    socket: str  # the listener's name: "127.0.0.1:8000", "[::1]:80", "unix:/run/x.sock"
    remote_address: str  # "" on unix sockets
    remote_port: int
    local_address: str
    local_port: int


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What was made of a request's target inside of the server."""

    target: bytes  # the new one, path and query in ASCII: REDIRECT_URI, once it is normalised
    times: int
    finished: bool  # the rule that fitted last allows no further one


@dataclass(slots=True)
class Request:
    """A request whose head is complete; the body is asked for through the exchange (RFC 9110 section 3.4)."""

    method: str
    target: bytes  # as sent: REQUEST_URI
    version: str  # "HTTP/1.1" or "HTTP/1.0"
    headers: list[tuple[bytes, bytes]]  # in order of arrival, names as sent; never changed
    path: str  # decoded, dot segments and empty segments removed; begins with "/"
    query: str  # as sent, without "?"
    authority: str  # Host (or the authority of an absolute target), with port, as sent; "" if none
    host: str  # lower case, without port
    endpoint: Endpoint
    content_length: int | None  # octets; None: chunked, not known yet
    keep_alive: bool
    expects_continue: bool = False
    conditional: bool = False  # has a precondition or a range (`conditional.FIELDS`)
    rewritten: Rewritten | None = None  # what url.rewrite-… did; path and query are those after it
    _fields: dict[str, str] | None = field(default=None, repr=False)

    @property
    def shown(self) -> str:
        """Method and target for a line of a log."""
        return f"{self.method} {self.target[:512].decode('utf-8', 'backslashreplace')}"

    @property
    def fields(self) -> dict[str, str]:
        """Header values by lower-case name; see `by_name`."""
        found = self._fields
        if found is None:
            found = self._fields = by_name(self.headers)
        return found

    def header(self, name: str) -> str:
        """The value of one field by its lower-case name, "" if the client did not send it."""
        return self.fields.get(name, "")

    @property
    def scheme(self) -> str:
        """ "http" or "https"."""
        return self.endpoint.scheme

    @property
    def socket(self) -> str:
        """The listener's name."""
        return self.endpoint.socket

    @property
    def remote_address(self) -> str:
        """Of the client; "" on unix sockets."""
        return self.endpoint.remote_address

    @property
    def remote_port(self) -> int:
        """Of the client."""
        return self.endpoint.remote_port

    @property
    def local_address(self) -> str:
        """That the client has connected to."""
        return self.endpoint.local_address

    @property
    def local_port(self) -> int:
        """That the client has connected to."""
        return self.endpoint.local_port


def by_name(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Values by lower-case name; repeated fields joined by ", " (RFC 9110 section 5.3), cookies by "; "."""
    found: dict[str, str] = {}
    for name, value in pairs:
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        if key in found:
            separator = "; " if key == "cookie" else ", "
            found[key] = f"{found[key]}{separator}{text}"
        else:
            found[key] = text
    return found
