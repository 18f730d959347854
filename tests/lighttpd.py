"""`Lighttpd`: a real lighttpd, the oracle for what a configuration means. The verbs are those of `Box`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Self

from tests.box import clean_environment
from tests.server import Server


def executable() -> str:
    """Its path; Debian installs it where an ordinary user's PATH does not look."""
    found = shutil.which("lighttpd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    assert found, "lighttpd is not installed: build/install-packages test"
    return found


class Lighttpd(Server):
    """One lighttpd that runs in the foreground and logs to our file."""

    def serve(self, text: str) -> Self:
        """Serve a configuration on our port, whatever bind and port it has itself; errors go to the log."""
        path = self.configure(text)
        self._launch([executable(), "-D", "-f", str(path)], clean_environment())
        self._wait_listening()
        return self

    def configure(self, text: str) -> Path:
        """Write the configuration with our bind and port in the place of its own."""
        path = self.directory / "lighttpd.conf"
        path.write_text(f"{text}\n{self._ours()}", "utf-8")
        return path

    def _ours(self) -> str:
        # := replaces an earlier assignment (lighttpd 1.4.46 and later); = twice is an error.
        return f'server.bind := "127.0.0.1"\nserver.port := {self.port}\n'


def check(text: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """`lighttpd -tt`: what a real lighttpd says about a configuration, without running it."""
    path = directory / "check.conf"
    path.write_text(text, "utf-8")
    return subprocess.run([executable(), "-tt", "-f", str(path)], capture_output=True, text=True, timeout=30)
