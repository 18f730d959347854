"""What a visitor of a Trac does, whoever stands in front of it; and several who do it at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.http_client import Answer
from tests.server import Server

JOE = ("joe", "joepw")


def visit(server: Server, mount: str = "") -> None:
    """The wiki, a ticket, a style sheet, a page that is not there, HEAD, an upload, and a log-in."""
    wiki = server.fetch(f"{mount}/wiki")
    assert wiki.status == 200 and f'href="{mount}/timeline"' in wiki.text, server.log()
    assert server.fetch(mount or "/").status == 200
    assert server.fetch(f"{mount}/ticket/1").status == 200
    assert server.fetch(f"{mount}/wiki/No%20%C3%A9").status == 404
    style = server.fetch(f"{mount}/chrome/common/css/trac.css")
    assert style.header("Content-Type") == "text/css" and len(style.body) > 1000
    head = server.fetch(f"{mount}/wiki", method="HEAD")
    assert head.status == 200 and head.body == b""
    assert upload(server, mount, bytes(1 << 20)).status == 400, "no form token, but the whole of it was read"


def log_in(server: Server, mount: str = "") -> None:
    """The web server asks for the password, Trac gets the name and answers with its cookie."""
    assert server.fetch(f"{mount}/login").status == 401, server.log()
    answer = server.fetch(f"{mount}/login", user=JOE)
    assert answer.status == 302 and "trac_auth" in answer.cookies, server.log()
    cookie = {"Cookie": f"trac_auth={answer.cookies['trac_auth']}"}
    page = server.fetch(f"{mount}/wiki", headers=cookie)
    assert "logged in as" in page.text and "joe" in page.text


def upload(server: Server, mount: str, content: bytes) -> Answer:
    """Post a form with a file in it."""
    head = b'--b\r\nContent-Disposition: form-data; name="attachment"; filename="z"\r\n\r\n'
    return server.fetch(
        f"{mount}/attachment/wiki/WikiStart?action=new",
        method="POST",
        headers={"Content-Type": "multipart/form-data; boundary=b"},
        body=head + content + b"\r\n--b--\r\n",
    )


@dataclass
class Crowd:
    """What happened to requests that were made side by side."""

    longest: float = 0.0
    """Seconds."""
    failures: list[str] = field(default_factory=list)

    def run(self, clients: int, times: int, ask: Callable[[int], object]) -> None:
        """`clients` threads call `ask` with 0 … `times` - 1."""

        def client() -> None:
            for number in range(times):
                begin = time.monotonic()
                try:
                    ask(number)
                except (AssertionError, OSError) as error:
                    self.failures.append(f"{type(error).__name__}: {error}")
                self.longest = max(self.longest, time.monotonic() - begin)

        threads = [threading.Thread(target=client) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
