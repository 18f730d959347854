"""`server.socket-perms`: who may connect to a unix socket of ours, beside a real lighttpd."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.config import ConfigurationError, load
from tests.box import Box
from tests.lighttpd import Lighttpd
from tests.waiting import until

WORLD = 'server.socket-perms = "0666"\n'


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def sockets(directory: Path, perms: str) -> str:
    """A site on three sockets, the last one with permissions of its own."""
    return (
        f'server.document-root = "{directory}"\n{perms}'
        f'$SERVER["socket"] == "{directory}/a.sock" {{ }}\n'
        f'$SERVER["socket"] == "{directory}/b.sock" {{ server.socket-perms = "660" }}\n'
    )


@pytest.mark.holds("server.socket-perms")
@pytest.mark.parametrize("perms", ["", WORLD], ids=["unset", "0666"])
def test_as_lighttpd(box: Box, lighttpd: Lighttpd, perms: str) -> None:
    """The same modes, for all sockets and for one."""
    found = []
    for server in (box, lighttpd):
        server.serve(sockets(server.directory, perms))
        for name in ("a.sock", "b.sock"):
            until((server.directory / name).exists, problem="no socket")
        found.append([mode(server.directory / name) for name in ("a.sock", "b.sock")])
    assert found[0] == found[1] and found[0][1] == 0o660
    if perms:
        assert found[0][0] == 0o666


def test_a_reload_changes_them(box: Box) -> None:
    """The socket is kept: its clients notice nothing."""
    box.serve(sockets(box.directory, WORLD))
    path = box.directory / "a.sock"
    inode = path.stat().st_ino
    box.configure(sockets(box.directory, 'server.socket-perms = "0600"\n'))
    box.reload()
    assert (mode(path), path.stat().st_ino) == (0o600, inode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_reaches_the_recipe(box: Box, place: Path) -> None:
    """A server in front that runs as somebody else, as nginx does."""
    path = place / "trac.sock"
    place.chmod(0o755)
    box.recipe("trac", "--env", place / "env", "--listen", f"unix:{path}", wait=False)
    until(path.exists, 60.0, "no socket", box.log)
    until(lambda: mode(path) == 0o666, problem="others cannot connect")
    done = os.fork()
    if done == 0:
        status = 1
        try:
            os.setgid(65534)
            os.setuid(65534)
            import socket

            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(path))
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(done, 0)[1] == 0


@pytest.mark.parametrize("text", ["rw", "888", "1777", "66"])
def test_what_is_no_mode(text: str) -> None:
    with pytest.raises(ConfigurationError, match="three octal digits"):
        load(f'server.socket-perms = "{text}"', "t")
