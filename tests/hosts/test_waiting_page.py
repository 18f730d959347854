"""The page for browsers while an application starts; whatever else asks waits for the answer."""

from __future__ import annotations

import os
import threading
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.box import Box
from tests.faults.scripted import serve_scripted
from tests.http_client import Answer
from tests.waiting import until

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


class Slow:
    """An application whose program loads until `go`."""

    def __init__(self, box: Box, place: Path, keys: str) -> None:
        self.box = box
        self._pipe = place / "go"
        os.mkfifo(self._pipe)
        serve_scripted(box, place)
        program = place / "slow.sh"
        program.write_text(f"#!/bin/sh\nread word < {self._pipe}\nexec {place}/scripted.py\n")
        program.chmod(0o755)
        text = (box.directory / "box.conf").read_text().replace("scripted.py", "slow.sh")
        text = text.replace('"min-procs" => 1', f'"min-procs" => 0, {keys}')
        (box.directory / "box.conf").write_text(text)
        box.reload()

    def go(self) -> None:
        """It has loaded."""
        self._pipe.write_text("go\n")

    def ask(self, headers: dict[str, str], **options: str) -> tuple[threading.Thread, list[Answer]]:
        """A request in a thread; what it was answered."""
        answers: list[Answer] = []

        def run() -> None:
            answers.append(self.box.fetch("/app?hello", headers=headers, timeout=40, **options))

        thread = threading.Thread(target=run)
        thread.start()
        return thread, answers


@pytest.mark.holds("waiting-page", "min-procs")
def test_a_browser_sees_it_and_the_others_wait(box: Box, place: Path) -> None:
    slow = Slow(box, place, '"waiting-page" => "enable"')
    page = box.get("/app", BROWSER)
    assert page.status == 503
    assert page.header("Cache-Control") == "no-store"
    assert page.header("Retry-After") == page.header("Refresh") == "2"
    assert (page.header("Content-Type") or "").startswith("text/html")
    assert '<meta http-equiv="refresh" content="2">' in page.text and "//" not in page.text
    HTMLParser().feed(page.text)
    others = [
        slow.ask({"Accept": "*/*"}),
        slow.ask({**BROWSER, "X-Requested-With": "XMLHttpRequest"}),
        slow.ask({**BROWSER, "Sec-Fetch-Mode": "cors"}),
        slow.ask(BROWSER, method="POST"),
    ]
    assert box.get("/app", {**BROWSER, "Sec-Fetch-Mode": "navigate"}).status == 503
    assert not any(answers for _, answers in others)
    slow.go()
    for thread, answers in others:
        thread.join(40)
        assert answers[0].status == 200
    assert box.get("/app", BROWSER).status == 200
    assert box.get("/app?sleep=1.5", BROWSER).status == 200, "a slow page is no start"


@pytest.mark.slow
def test_a_page_of_ones_own_and_none(box: Box, place: Path) -> None:
    own = place / "own.html"
    own.write_text("<!DOCTYPE html><title>Soon</title>")
    Slow(box, place, f'"waiting-page" => "{own}"')
    page = box.get("/app", BROWSER)
    assert (page.status, page.text, page.header("Refresh")) == (503, own.read_text(), "2")
    text = (box.directory / "box.conf").read_text()
    (box.directory / "box.conf").write_text(text.replace("own.html", "missing.html"))
    box.reload()
    box.wait_log("missing.html cannot be read (No such file or directory)")
    assert "The application is starting" in box.get("/app", BROWSER).text
    (box.directory / "box.conf").write_text(text.replace(f'"waiting-page" => "{own}"', '"idle-timeout" => 9'))
    box.reload()
    with box.wire(timeout=3) as wire:
        wire.request("GET", "/app", BROWSER)
        with pytest.raises(TimeoutError):
            wire.sock.recv(1)


def test_the_first_request_starts_it(box: Box, place: Path) -> None:
    serve_scripted(box, place)
    path = box.directory / "box.conf"
    path.write_text(path.read_text().replace('"min-procs" => 1', '"min-procs" => 0, "idle-timeout" => 1'))
    box.reload()
    for _ in range(2):
        answer = box.get("/app?hello")
        assert answer.status == 200
        until(lambda: not box.application_pids(), 20, "it is not ended when it is idle", box.log)
