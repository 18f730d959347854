"""Paths between two roots, each way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config import PoolDefinition
from appliance.gateway.roots import Roots, roots

SPAWNED = PoolDefinition("a", "fastcgi", command=("/bin/a",))


@pytest.mark.parametrize(
    ("front", "application", "path", "told"),
    [
        ("/jail", "", "/www/a", "/jail/www/a"),
        ("/jail", "", "/", "/jail"),
        ("", "/jail", "/jail/www/a", "/www/a"),
        ("", "/jail", "/jail", "/"),
        ("", "/jail/www", "/jail", "/"),
        ("", "/jail", "/", "/"),
        ("", "/jail", "/jailed/a", "/jailed/a"),
        ("", "/jail", "/srv/a", "/srv/a"),
        ("/jail", "/jail/app", "/app/a", "/a"),
        ("/jail", "/jail/app", "/", "/"),
        ("/jail/front", "/jail", "/a", "/front/a"),
        ("/one", "/two", "/a", "/a"),
    ],
)
def test_what_an_application_is_told(front: str, application: str, path: str, told: str) -> None:
    assert Roots(front, application).to_application(path) == told


@pytest.mark.parametrize(
    ("front", "application", "path", "here"),
    [
        ("/jail", "", "/jail/www/a", "/www/a"),
        ("/jail", "", "/etc/passwd", None),
        ("/jail", "", "/jailed", None),
        ("", "/jail", "/etc/passwd", "/jail/etc/passwd"),
        ("/jail", "/jail/app", "/a", "/app/a"),
        ("/jail/front", "/jail", "/a", None),
        ("/jail/front", "/jail", "/front/a", "/a"),
    ],
)
def test_what_it_tells(front: str, application: str, path: str, here: str | None) -> None:
    assert Roots(front, application).to_front(path) == here


_path = st.lists(st.sampled_from(["a", "b", "jail"]), max_size=4).map(lambda names: "/" + "/".join(names))
_root = _path.map(lambda path: path.rstrip("/"))


@given(_root, _root, _path)
def test_there_and_back(front: str, application: str, path: str) -> None:
    """What both can see comes back as it was; nothing else is ever reached by a name of the application's."""
    pair = Roots(front, application)
    real = (front + path).rstrip("/") or "/"
    if real.startswith(f"{application}/") or not application:
        assert pair.to_front(pair.to_application(path)) == path
    back = pair.to_front(path)
    if back is not None:
        assert (front + back).rstrip("/") == (application + path).rstrip("/")


def test_whose_root_is_which() -> None:
    assert roots(SPAWNED, None) is None
    assert roots(SPAWNED, "/jail/") == Roots("/jail", "")
    remote = PoolDefinition("a", "fastcgi", host="10.0.0.1")
    assert roots(remote, "/jail") is None
    for chroot, expected in (("/", ""), ("/other", "/other")):
        there = PoolDefinition("a", "fastcgi", host="10.0.0.1", chroot=chroot)
        assert roots(there, "/jail") == Roots("/jail", expected)
    same = PoolDefinition("a", "fastcgi", command=("/bin/a",), chroot="/jail/.")
    assert roots(same, "/jail") is None
