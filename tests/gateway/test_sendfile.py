"""X-Sendfile values: where they lead, and what is refused."""

from __future__ import annotations

import pytest

from appliance.gateway.sendfile import Refusal, combined_status, docroot, resolve, simplified


@pytest.mark.parametrize(
    ("value", "docroots", "expected"),
    [
        (b"/srv/a", (), "/srv/a"),
        (b"/srv/a%20b+c", (), "/srv/a b+c"),
        (b"/srv/%C3%A4", (), "/srv/ä"),
        (b"/srv/\xc3\xa4", (), "/srv/ä"),
        (b"/srv/100%", (), "/srv/100%"),
        (b"/srv//x/./y/../z", ("/srv",), "/srv/x/z"),
        (b"/srv/trac/f", ("/other", "/srv/trac"), "/srv/trac/f"),
        (b"/srv/trac/f", ("/srv/trac/",), "/srv/trac/f"),
        (b"/srv/trac/f", ("/",), "/srv/trac/f"),
        (b"/srv/trac-private/f", ("/srv/trac",), 403),
        (b"/srv/trac", ("/srv/trac",), 403),
        (b"/srv/trac/../etc/passwd", ("/srv/trac",), 403),
        (b"/srv/trac/%2e%2e/x", ("/srv/trac",), 403),
        (b"/srv/trac%2f..%2fx", ("/srv/trac",), 403),
        (b"", (), 502),
        (b"relative", (), 502),
        (b"/srv/%ff", (), 502),
        (b"/srv/%00", (), 502),
    ],
)
def test_resolve(value: bytes, docroots: tuple[str, ...], expected: str | int) -> None:
    found = resolve(value, docroots)
    assert (found.status if isinstance(found, Refusal) else found) == expected


@pytest.mark.parametrize("root", ["/srv/pub", "/srv//pub", "/srv/pub//", "/srv/www/../pub", "/srv/./pub/"])
def test_links_are_judged_from_the_docroot_however_it_is_written(root: str) -> None:
    assert resolve(b"/srv/pub/link", (root,)) == "/srv/pub/link"
    assert docroot("/srv/pub/link", ("/other", root)) == "/srv/pub"
    assert docroot("/srv/public/link", (root,)) is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("//", "/"),
        ("/..", "/"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a/.", "/a/"),
        ("/a/", "/a/"),
    ],
)
def test_simplified(path: str, expected: str) -> None:
    assert simplified(path) == expected


@pytest.mark.parametrize(
    ("application", "file", "expected"),
    [(200, 200, 200), (200, 206, 206), (200, 304, 304), (200, 404, 404), (201, 200, 201), (403, 404, 403)],
)
def test_combined_status(application: int, file: int, expected: int) -> None:
    assert combined_status(application, file) == expected
