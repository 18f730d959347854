"""The access log: one line in Combined format for each answered request (lighttpd's accesslog.format
default).

    %h %V %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"

Octets that could break a line or a terminal are escaped as \\xHH, so that no request can forge a line. Long
fields are cut, so that a queue full of lines stays small.
"""

from __future__ import annotations

import time

from appliance.http.request import Request
from appliance.report.writer import Writer

LONGEST = 1024  # characters of a field that are logged: a request's head may have many times that

_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))}
_ESCAPES[ord('"')] = '\\"'
_ESCAPES[ord("\\")] = "\\\\"


class AccessLog:
    """The access logs of all sites, by file name."""

    def __init__(self, writers: dict[str, Writer]) -> None:
        self._writers = writers
        self._second = 0
        self._stamp = ""

    def write(
        self,
        name: str,
        request: Request,
        environment: dict[str, str],
        status: int,
        octets: int,
    ) -> None:
        """Log one answer; `octets` is the length of the body that was sent."""
        writer = self._writers.get(name)
        if writer is None:
            return
        fields = request.fields
        user = _escaped(environment.get("REMOTE_USER", "")) or "-"
        target = _escaped(request.target.decode("latin-1"))
        referer = _escaped(fields.get("referer", "")) or "-"
        agent = _escaped(fields.get("user-agent", "")) or "-"
        line = (
            f"{request.remote_address or '-'} {_escaped(request.authority) or '-'} {user} [{self._now()}]"
            f' "{request.method[:LONGEST]} {target} {request.version}" {status} {octets or "-"}'
            f' "{referer}" "{agent}"\n'
        )
        writer.put(line.encode("utf-8", "surrogateescape"))

    def write_refused(self, name: str, address: str, line: bytes, status: int) -> None:
        """Log a request that could not be read; `line` is what came of its first line."""
        writer = self._writers.get(name)
        if writer is not None:
            text = _escaped(line.decode("latin-1"))
            writer.put(f'{address or "-"} - - [{self._now()}] "{text}" {status} - "-" "-"\n'.encode())

    def _now(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%d/%b/%Y:%H:%M:%S %z", time.localtime(second))
        return self._stamp


def _escaped(text: str) -> str:
    if len(text) > LONGEST:
        text = text[:LONGEST] + "..."
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return text.translate(_ESCAPES)
