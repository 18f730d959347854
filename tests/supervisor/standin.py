"""A front of few lines, to see the supervisor from the other side of the channel.

    python -m tests.supervisor.standin CONFIG RUN-DIRECTORY LIMIT

Each connection brings one JSON line and gets one: {"ask": "messages"} → what the supervisor has said so far,
{"say": {…}} → said to the supervisor, {"work": seconds} → a request that takes so long, {"die": status} → it
dies. `drain` makes it close its listeners and end when its last request is over.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import sys
import time
from pathlib import Path
from typing import Any

from appliance.config import Configuration
from appliance.errors import UserError
from appliance.front.options import FrontOptions
from appliance.supervisor.channel import Channel
from appliance.supervisor.main import RunOptions, run
from appliance.supervisor.source import FileSource


class StandIn:
    """See above."""

    def __init__(self, listeners: dict[str, int], channel_fd: int, options: FrontOptions) -> None:
        self.options = options
        self.selector = selectors.DefaultSelector()
        self.channel = Channel(socket.socket(fileno=channel_fd))
        self.listeners = [socket.socket(fileno=fd) for fd in listeners.values()]
        self.messages: list[dict[str, Any]] = []
        self.work: list[tuple[float, socket.socket]] = []
        self.draining = False
        self.log_text = ""
        self.selector.register(self.channel, selectors.EVENT_READ, self.read_channel)
        for listener in self.listeners:
            listener.setblocking(False)
            self.selector.register(listener, selectors.EVENT_READ, self.accept)

    def run(self) -> int:
        self.channel.send({"type": "ready"})
        while not (self.draining and not self.work):
            patience = min((due for due, _ in self.work), default=time.monotonic() + 1) - time.monotonic()
            for key, _ in self.selector.select(max(0.0, patience)):
                try:
                    key.data(key.fileobj)
                except EOFError:
                    return 1
            for due, client in list(self.work):
                if due <= time.monotonic():
                    self.work.remove((due, client))
                    self.answer(client, {"worked": True})
        self.channel.send({"type": "drained"})
        return 0

    def read_channel(self, _: Any) -> None:
        for message, fds in self.channel.receive():
            for fd in fds:
                os.write(fd, f"front-{self.options.generation} was here\n".encode())
                os.close(fd)
            self.messages.append(message)
            if message["type"] == "status":
                data = {"connections": len(self.work), "requests": 7, "pools": {}}
                self.channel.send({"type": "status", "id": message["id"], "data": data})
            if message["type"] == "retire":
                self.channel.send({**message, "type": "retired"})
            if message["type"] == "drain" and not self.draining:
                self.draining = True
                for listener in self.listeners:
                    self.selector.unregister(listener)
                    listener.close()

    def accept(self, listener: socket.socket) -> None:
        try:
            client, _ = listener.accept()
        except OSError:
            # Nobody there, or closed by what this turn brought before.
            return
        client.setblocking(True)
        with client.makefile("rb") as file:
            request = json.loads(file.readline() or b"{}")
        if "say" in request:
            self.channel.send(request["say"])
        if "die" in request:
            print("the front is dying", file=sys.stderr, flush=True)
            os._exit(request["die"])
        if "work" in request:
            self.work.append((time.monotonic() + request["work"], client))
        else:
            self.answer(client, {"messages": self.messages} if "ask" in request else {})

    def answer(self, client: socket.socket, answer: dict[str, Any]) -> None:
        facts = {
            "pid": os.getpid(),
            "uid": os.getuid(),
            "group": os.getpgrp(),
            "generation": self.options.generation,
            "limit": self.options.connection_limit,
            "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd")),
        }
        client.sendall(json.dumps({**facts, **answer}).encode() + b"\n")
        client.close()


def entry(
    configuration: Configuration,
    listeners: dict[str, int],
    channel_fd: int,
    logs: dict[str, int],
    options: FrontOptions,
) -> int:
    """What a front process runs."""
    if configuration.settings.string("server.tag") == "broken":
        print("this front cannot start", file=sys.stderr)
        return 3
    return StandIn(listeners, channel_fd, options).run()


if __name__ == "__main__":
    source = FileSource(Path(sys.argv[1]))
    where = RunOptions(graceful_limit=float(sys.argv[3]), run_directory=Path(sys.argv[2]), entry=entry)
    try:
        sys.exit(run(source, where))
    except UserError as error:
        sys.exit(f"fcgibox: {error}")
