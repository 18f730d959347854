"""`fcgibox status` and `fcgibox top`: what people see."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

from appliance.commands.overview import age, render, size
from tests import processes
from tests.box import Box
from tests.options.test_gateways import serve
from tests.waiting import until

STATUS: dict[str, Any] = {
    "version": "1.0",
    "instance": "site-1a2b",
    "pid": 10,
    "uptime": 93784.0,
    "stopping": False,
    "configuration": "/etc/lighttpd.conf",
    "listeners": ["*:80"],
    "connection_limit": 500,
    "front": {
        "pid": 11,
        "user": "www-data",
        "age": 61.0,
        "data": {"connections": 1, "requests": 12345},
        "memory": 25 << 20,
    },
    "other_fronts": [{"pid": 9, "generation": 1, "state": "draining"}],
    "pools": [
        {
            "name": "php",
            "state": "failing",
            "reason": "php-0 ended within a second three times: exit status 255",
            "next_try": 4.2,
            "last_exit": {
                "process": "php-2",
                "reason": "exit status 255",
                "age": 3.0,
                "stderr": ["no such ini"],
            },
            "current": True,
            "user": "php",
            "min": 1,
            "max": 4,
            "template": None,
            "requests": 1,
            "waiting": 7,
            "processes": [
                {
                    "name": "php-1",
                    "pid": 12,
                    "state": "running",
                    "age": 3661.0,
                    "load": 1,
                    "requests": 99,
                    "memory": 200 << 20,
                },
                {
                    "name": "php-3",
                    "pid": None,
                    "state": "starting",
                    "age": 0.0,
                    "load": None,
                    "requests": None,
                },
            ],
        }
    ],
    "hosts": [
        {
            "name": "far",
            "place": "10.0.0.2:9000",
            "requests": 3,
            "waiting": 0,
            "load": 1,
            "down": ["10.0.0.2:9000 is down: Connection refused"],
        }
    ],
}
TEXT = """\
fcgibox 1.0  site-1a2b
  up             1 d 2 h, process 10
  configuration  /etc/lighttpd.conf
  listens on     *:80
  front          process 11, user www-data, up 1 min 1 s, 25.0 MiB
  clients        1 connection of at most 500, 12345 requests so far
  older front    process 9, draining

pool php: failing
  2 of 1 to 4 processes, user php, 1 request, 7 waiting in the queue
  ! php-0 ended within a second three times: exit status 255
  ! the next try is in 4 s
  php-2 ended 3 s ago: exit status 255, its last words:
    no such ini
  process  pid  state           age  works on  requests   memory
  php-1     12  running   1 h 1 min         1        99  200 MiB
  php-3      -  starting        0 s         -         -        -

host far at 10.0.0.2:9000: down
  works on 1 request, has had 3
  ! 10.0.0.2:9000 is down: Connection refused"""


def test_the_text() -> None:
    assert render(STATUS) == TEXT
    silent = {**STATUS, "front": None, "pools": [], "hosts": [], "stopping": True}
    assert "site-1a2b, stopping" in render(silent) and "none: it has died" in render(silent)
    assert [age(seconds) for seconds in (0, 59.9, 60, 3600, 90000)] == [
        "0 s",
        "59 s",
        "1 min 0 s",
        "1 h 0 min",
        "1 d 1 h",
    ]
    assert size(1 << 19) == "0.5 MiB"


def test_what_a_running_server_says(box: Box, place: Path) -> None:
    far = f'"/far" => (( "socket" => "{place}/none.sock", "check-local" => "disable" ))'
    serve(box, place, '"slots" => 1', extra=f"fastcgi.server += ( {far} )")
    for _ in range(3):
        assert box.get("/app?hello").status == 200
    assert box.get("/far").status == 503
    slow = threading.Thread(target=box.get, args=("/app?sleep=2",))
    slow.start()
    until(lambda: box.status()["front"]["data"]["pools"]["app"]["processes"]["app-0"] == 1)
    (pid,) = box.application_pids()
    told = json.loads(box.control("status", "--json").stdout)
    (process,) = told["pools"][0]["processes"]
    assert (process["load"], process["requests"]) == (1, 4)
    assert process["memory"] >= 0.5 * processes.memory(pid)["Pss"] * 1024 > 0
    text = box.control("status").stdout
    assert re.search(rf"^  app-0 +{pid}  running +\d+ s +1 +4 +\d+\.\d MiB$", text, re.MULTILINE), text
    assert "host far at" in text and "  ! " in text
    assert max(map(len, text.splitlines())) < 130
    slow.join()


def test_top_shows_it_until_it_is_interrupted(box: Box, place: Path) -> None:
    serve(box, place, '"slots" => 1')
    words = [*box.program, "top", "--every", "0.2", "--control", str(box.control_socket())]
    master, slave = pty.openpty()
    shown = subprocess.Popen(words, stdout=slave, stderr=slave, env=box.environment)
    os.close(slave)
    seen = b""
    while seen.count(b"\x1b[H") < 3:
        seen += os.read(master, 65536)
    assert b"pool app: running" in seen and b"\x1b[J" in seen
    shown.send_signal(signal.SIGINT)
    assert shown.wait(20) == 0
    os.close(master)
    wrong = box.control("top", "--every", "soon")
    assert wrong.returncode == 2 and "no number of seconds" in wrong.stderr
