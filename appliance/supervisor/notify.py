"""What systemd is told: READY, RELOADING, STOPPING, and the watchdog's heartbeat. The protocol is
sd_notify(3).

Without NOTIFY_SOCKET everything here does nothing. The variables are taken out of the environment, so that no
child speaks for us.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping


class Notify:
    """The service manager, if there is one."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        """Takes its variables out of `environment`."""
        address = environment.pop("NOTIFY_SOCKET", "")
        microseconds = environment.pop("WATCHDOG_USEC", "")
        environment.pop("WATCHDOG_PID", None)
        # "@" stands for the NUL of an abstract address.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.heartbeat: float | None = None
        """Seconds between calls of `alive`: half of what the manager allows; None without a watchdog."""
        if address and microseconds.isdigit() and int(microseconds) > 0:
            self.heartbeat = int(microseconds) / 2e6

    def ready(self, status: str) -> None:
        """Started, or a reload has ended."""
        # As a frozen program we are not the process that systemd started.
        self._send(f"READY=1\nMAINPID={os.getpid()}\nSTATUS={status}")

    def reloading(self) -> None:
        """A reload begins; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Running requests are being completed."""
        self._send("STOPPING=1\nSTATUS=completing running requests")

    def alive(self) -> None:
        """The loop turns."""
        self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
            try:
                sock.sendto(text.encode(), self._address)
            except OSError:
                # A manager that does not listen is no reason to stop serving.
                return
