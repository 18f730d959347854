"""From URL paths to files: aliases, index files, PATH_INFO, and that nothing leads out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.handlers.physical import Kind, Resolver, hidden
from appliance.http.files import FRESH, FileCache
from appliance.http.target import parse_target
from tests.static.corpus import plant
from tests.static.subject import Handlers, Ticking


@pytest.fixture
def base(tmp_path: Path) -> Path:
    plant(tmp_path)
    return tmp_path


def resolver(base: Path, clock: Ticking | None = None, **options: object) -> Resolver:
    aliases = (
        ("/al", f"{base}/al"),
        ("/slash", f"{base}/al/"),
        ("/t/", f"{base}/al"),
        ("/one", f"{base}/out.txt"),
    )
    chosen = {"aliases": aliases, "index_names": ("index.html", "index.php"), **options}
    return Resolver(FileCache(clock or Ticking()), f"{base}/root", **chosen)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "kind", "path", "script", "info"),
    [
        ("/a.txt", Kind.FILE, "root/a.txt", "/a.txt", ""),
        ("/php/", Kind.FILE, "root/php/index.php", "/php/index.php", ""),
        ("/php/index.php/x/y", Kind.FILE, "root/php/index.php", "/php/index.php", "/x/y"),
        ("/x.php/", Kind.FILE, "root/x.php", "/x.php", "/"),
        ("/php", Kind.UNSLASHED, "root/php", "/php", ""),
        ("/dir/", Kind.DIRECTORY, "root/dir/", "/dir/", ""),
        ("/dir/x", Kind.MISSING, "root/dir/x", "/dir/x", ""),
        ("/al/f.txt/i", Kind.FILE, "al/f.txt", "/al/f.txt", "/i"),
        ("/slash/f.txt/i", Kind.FILE, "al/f.txt", "/slash/f.txt", "/i"),
        ("/t/f.txt/i", Kind.FILE, "al/f.txt", "/t/f.txt", "/i"),
        ("/one/i", Kind.FILE, "out.txt", "/one", "/i"),
    ],
)
def test_what_is_there(base: Path, url: str, kind: Kind, path: str, script: str, info: str) -> None:
    for follow_links in (True, False):
        found = resolver(base, follow_links=follow_links).find(url)
        assert (found.kind, found.path, found.url_path, found.path_info) == (
            kind,
            f"{base}/{path}",
            script,
            info,
        )


def test_a_thousand_invented_segments_are_one_question(base: Path) -> None:
    files = FileCache(Ticking())
    assert Resolver(files, f"{base}/root").find("/x" * 1000).kind is Kind.MISSING
    assert len(files._known) <= 3


def test_what_changes_is_seen_after_a_second(base: Path) -> None:
    clock = Ticking()
    made = resolver(base, clock)
    assert made.find("/dir/").kind is Kind.DIRECTORY
    (base / "root/dir/index.html").write_text("now")
    assert made.find("/dir/").kind is Kind.DIRECTORY
    clock.ahead += FRESH
    assert made.find("/dir/").path.endswith("dir/index.html")
    first = made.find("/a.txt")
    clock.ahead += FRESH
    assert made.find("/a.txt") is first


@pytest.mark.parametrize(
    ("path", "is_hidden"),
    [
        ("/a.b", False),
        ("/.git", True),
        ("/a/.git/config", True),
        ("/.well-known/acme-challenge/x", False),
        ("/.well-known/.x", True),
        ("/.well-known", True),
        ("/a/.well-known/x", True),
        ("/..x", True),
    ],
)
def test_hidden_names(path: str, is_hidden: bool) -> None:
    assert hidden(path) is is_hidden


@pytest.mark.holds("fcgibox.dot-files")
def test_dot_files(base: Path) -> None:
    made = resolver(base, hide_dots=True)
    assert made.find("/.dotfile.txt").kind is Kind.MISSING
    assert made.find("/x.php/.info").kind is Kind.FILE
    assert resolver(base).find("/.dotfile.txt").kind is Kind.FILE


segments = st.sampled_from(
    [
        "a.txt",
        "..",
        ".",
        "",
        "al",
        "slash",
        "t",
        "one",
        "dir",
        "outside",
        "f.txt",
        "slash..",
        "al..",
        "..f",
        "secret",
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400)
@given(parts=st.lists(segments, min_size=1, max_size=6), glue=st.sampled_from(["/", "%2f", "//"]))
def test_nothing_leads_out(base: Path, parts: list[str], glue: str) -> None:
    """Whatever is found lies below the document root or an alias's target, links resolved."""
    target = parse_target(("/" + glue.join(parts)).encode())
    found = resolver(base, follow_links=False).find(target.path)
    if found.file is not None:
        real = os.path.realpath(found.path)
        assert any(
            real == str(allowed) or real.startswith(f"{allowed}/")
            for allowed in (base / "root", base / "al", base / "out.txt")
        )


def test_the_asterisk_names_no_file(base: Path) -> None:
    (base / "root*").write_text("beside the root")
    assert resolver(base).find("*").file is None


@pytest.mark.holds("fcgibox.dot-files", "etag.use-inode", "etag.use-mtime")
def test_our_options(base: Path) -> None:
    """The handlers with options that lighttpd does not have, or has in another sense."""
    text = f"""
server.document-root = "{base}/root"
fcgibox.dot-files = "deny"
etag.use-mtime = "disable"
etag.use-inode = "enable"
"""
    handlers = Handlers(text)

    def get(path: str) -> tuple[int, str | None]:
        answer = handlers.ask(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        return answer.status, answer.header("ETag")

    found = (base / "root/a.txt").stat()
    assert get("/.dotfile.txt") == (404, None)
    assert get("/a.txt") == (200, f'"{found.st_size:x}-{found.st_ino:x}"')
