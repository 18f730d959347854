"""X-Sendfile values: where they lead, and what is refused."""

from __future__ import annotations

import pytest

from appliance.gateway.sendfile import MOST_PIECES, Piece, Refusal, docroot, pieces, resolve, simplified


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
    ("value", "expected"),
    [
        (b"/srv/a 0-", [Piece("/srv/a", 0, None)]),
        (b"/srv/a%20b%2cc 2-3", [Piece("/srv/a b,c", 2, 3)]),
        (b"/srv/a 5-6,/srv/x/../b 0-0,", [Piece("/srv/a", 5, 6), Piece("/srv/b", 0, 0)]),
        (b"  /srv/a 1-, \t/srv/b 2- ", [Piece("/srv/a", 1, None), Piece("/srv/b", 2, None)]),
        (b"/srv/a", 502),
        (b"/srv/a  0-", 502),
        (b"/srv/a -5", 502),
        (b"/srv/a 1-x", 502),
        (b"/srv/a 1-2 3", 502),
        (b"/srv/a +1-2", 502),
        (b"/srv/a 9999999999999999999-", 502),
        (b" 0-1", 502),
        (b",", 502),
        (b"srv/a 0-1", 502),
        (b"/srv/%ff 0-1", 502),
        (b"/srv/a 0-, /etc/passwd 0-", 403),
        (b"/srv/%2e%2e/etc/passwd 0-", 403),
        (b"/srv/a 0-," * MOST_PIECES, [Piece("/srv/a", 0, None)] * MOST_PIECES),
        (b"/srv/a 0-," * MOST_PIECES + b"/srv/a 0-", 502),
    ],
)
def test_pieces(value: bytes, expected: list[Piece] | int) -> None:
    found = pieces(value, ("/srv",))
    assert (found.status if isinstance(found, Refusal) else found) == expected


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (0, None, (0, 10)),
        (2, 4, (2, 3)),
        (9, 9, (9, 1)),
        (0, 99, (0, 10)),
        (10, None, (10, 0)),
        (11, None, None),
        (5, 4, (5, 0)),
        (5, 3, None),
        (10, 12, (10, 0)),
    ],
)
def test_a_piece_within_a_file_of_ten_octets(
    first: int, last: int | None, expected: tuple[int, int] | None
) -> None:
    assert Piece("/srv/a", first, last).within(10) == expected
