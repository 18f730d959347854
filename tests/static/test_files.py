"""The file cache: what it believes, for how long, what it never opens, and what it holds."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from appliance.http import files as module
from appliance.http.files import Changed, File, FileCache, with_validators
from appliance.http.opening import Unavailable
from appliance.http.request import Endpoint, Request
from appliance.http.response import FileBody, Header, Response
from tests.static.corpus import LONG_AGO
from tests.static.subject import Ticking, content

ENDPOINT = Endpoint("http", "s", "", 0, "", 80)
TYPE: list[Header] = [(b"Content-Type", b"text/plain")]


def request(method: str = "GET", **fields: str) -> Request:
    headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    return Request(
        method, b"/", "HTTP/1.1", headers, "/", "", "h", "h", ENDPOINT, 0, True, conditional=bool(fields)
    )


def write(path: Path, octets: bytes, when: int = LONG_AGO) -> Path:
    path.write_bytes(octets)
    os.utime(path, ns=(when, when))
    return path


def ask(cache: FileCache, file: File, **fields: str) -> Response:
    return cache.respond(request(**fields), file, with_validators(TYPE, file))


@pytest.fixture
def clock() -> Ticking:
    return Ticking()


@pytest.fixture
def cache(clock: Ticking) -> FileCache:
    return FileCache(clock)


def test_a_file_is_believed_for_a_second(tmp_path: Path, cache: FileCache, clock: Ticking) -> None:
    path = write(tmp_path / "f", b"one")
    first = cache.open(str(path))
    path.unlink()
    assert cache.open(str(path)) is first
    clock.ahead += module.FRESH
    with pytest.raises(Unavailable) as caught:
        cache.open(str(path))
    assert caught.value.status == 404
    write(path, b"two")
    clock.ahead += module.FRESH
    assert cache.open(str(path)).content == b"two"


def test_an_unchanged_file_is_not_read_again(tmp_path: Path, cache: FileCache, clock: Ticking) -> None:
    first = cache.open(str(write(tmp_path / "f", b"one")))
    clock.ahead += module.FRESH
    assert cache.open(str(tmp_path / "f")) is first


@pytest.mark.parametrize("change", ["content", "time", "replaced", "mode"])
def test_every_change_is_seen(tmp_path: Path, cache: FileCache, clock: Ticking, change: str) -> None:
    path = write(tmp_path / "f", b"one")
    first = cache.open(str(path))
    if change == "content":
        write(path, b"two")  # size and time as before
    elif change == "time":
        os.utime(path, ns=(LONG_AGO + 1, LONG_AGO + 1))
    elif change == "replaced":
        write(tmp_path / "g", b"one").replace(path)
    else:
        path.chmod(0o640)
    clock.ahead += module.FRESH
    assert cache.open(str(path)) is not first


def test_a_fresh_change_has_no_validator(tmp_path: Path, cache: FileCache, clock: Ticking) -> None:
    """Two changes within a tick of the file system have the same time stamp."""
    path = write(tmp_path / "f", b"one", time.time_ns())
    file = cache.open(str(path))
    assert not file.settled
    names = [name for name, _ in ask(cache, file).headers]
    assert b"ETag" not in names
    assert b"Last-Modified" not in names
    stamp = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    clock.ahead += module.FRESH
    assert cache.open(str(path)).content == b"two"


def test_a_time_in_the_future_is_no_validator(tmp_path: Path, cache: FileCache) -> None:
    """RFC 9110 section 8.8.2.1: Last-Modified is never later than Date."""
    path = write(tmp_path / "f", b"one", time.time_ns() + 3600 * 10**9)
    assert not cache.open(str(path)).settled


def test_the_tag_is_the_same_elsewhere_and_after_a_restart(tmp_path: Path, clock: Ticking) -> None:
    one, two = write(tmp_path / "f", b"one"), write(tmp_path / "g", b"one")
    assert FileCache(clock).open(str(one)).etag == FileCache(clock).open(str(two)).etag
    assert FileCache(clock).open(str(write(two, b"longer"))).etag != FileCache(clock).open(str(one)).etag


def test_small_files_are_answered_from_memory_and_large_ones_from_a_descriptor(
    tmp_path: Path, cache: FileCache
) -> None:
    small = cache.open(str(write(tmp_path / "small", b"x" * module.SMALL)))
    large = cache.open(str(write(tmp_path / "large", b"x" * (module.SMALL + 1))))
    assert isinstance(ask(cache, small).body, bytes)
    answer = ask(cache, large)
    assert isinstance(answer.body, FileBody)
    assert content(answer) == b"x" * (module.SMALL + 1)


@pytest.mark.parametrize("size", [1000, module.SMALL + 1000])
def test_parts_are_the_same_from_memory_and_from_a_descriptor(
    tmp_path: Path, cache: FileCache, size: int
) -> None:
    octets = bytes(number % 251 for number in range(size))
    file = cache.open(str(write(tmp_path / "f", octets)))
    single = ask(cache, file, Range="bytes=10-19")
    assert (single.status, content(single)) == (206, octets[10:20])
    several = ask(cache, file, Range="bytes=0-4,500-504")
    body = content(several)
    assert several.status == 206
    assert body.count(b"\r\n\r\n") == 2
    assert octets[500:505] in body
    none = ask(cache, file, Range=f"bytes={size}-")
    assert none.status == 416
    assert (b"Content-Range", b"bytes */%d" % size) in none.headers


def test_whoever_keeps_a_file_does_not_keep_its_content(
    tmp_path: Path, cache: FileCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MEMORY", 10_000)
    kept = [cache.open(str(write(tmp_path / str(n), b"%d" % n * 4000))) for n in range(5)]
    held = sum(len(file.content) for file in kept if file.content is not None)
    assert held == cache.memory <= 10_000
    assert content(ask(cache, kept[0])) == b"0" * 4000, "then it comes from the disk"


def test_memory_and_entries_are_bounded(
    tmp_path: Path, cache: FileCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MEMORY", 10_000)
    monkeypatch.setattr(module, "KNOWN", 50)
    for number in range(30):
        cache.open(str(write(tmp_path / str(number), b"x" * 1000)))
        assert cache.memory <= 10_000
    for number in range(200):
        with pytest.raises(Unavailable):
            cache.open(str(tmp_path / f"missing-{number}"))
    assert cache.memory == 0
    with pytest.raises(Unavailable):
        cache.open("/" + "x/" * 2000)
    assert sum(len(path) for path, _ in cache._known) < 50 * module.LONGEST
    assert cache.open(str(tmp_path / "0")).content == b"x" * 1000


def test_a_file_replaced_within_the_second_is_not_sent_under_old_validators(
    tmp_path: Path, cache: FileCache
) -> None:
    path = write(tmp_path / "f", b"x" * 100_000)
    file = cache.open(str(path))
    write(tmp_path / "g", b"y" * 90_000).replace(path)
    with pytest.raises(Changed):
        ask(cache, file)
    assert content(ask(cache, cache.renew(file))) == b"y" * 90_000
    write(path, b"z" * 80_000)
    assert content(cache.send(request(), str(path), TYPE)) == b"z" * 80_000


def test_a_growing_file_is_sent_as_announced(tmp_path: Path, cache: FileCache) -> None:
    path = write(tmp_path / "log", b"x" * 100_000, time.time_ns())
    file = cache.open(str(path))
    with path.open("ab") as log:
        log.write(b"more")
    assert content(ask(cache, file)) == b"x" * 100_000


def test_only_regular_files_are_opened(tmp_path: Path, cache: FileCache) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/zero")):
        with pytest.raises(Unavailable) as caught:
            cache.open(str(path))
        assert caught.value.status == 403
    assert cache.open(str(tmp_path)).is_directory
    with pytest.raises(Unavailable) as caught:
        cache.send(request(), str(tmp_path), TYPE)
    assert caught.value.status == 403


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    (tmp_path / "real/inner").mkdir(parents=True)
    write(tmp_path / "real/inner/f", b"inside")
    write(tmp_path / "secret", b"outside")
    (tmp_path / "base").symlink_to("real")
    (tmp_path / "real/file").symlink_to("../secret")
    (tmp_path / "real/up").symlink_to("..")
    (tmp_path / "real/same").symlink_to("inner")
    return tmp_path


@pytest.mark.parametrize("name", ["file", "up/secret", "same/f", "up", "inner/../file", "../secret"])
def test_no_link_and_no_way_out_below_the_base(linked: Path, cache: FileCache, name: str) -> None:
    with pytest.raises(Unavailable) as caught:
        cache.open(f"{linked}/base/{name}", f"{linked}/base")
    assert caught.value.status == 403


def test_the_base_itself_may_be_a_link(linked: Path, cache: FileCache) -> None:
    assert cache.open(f"{linked}/base/inner/f", f"{linked}/base").content == b"inside"
    assert cache.open(f"{linked}/base/", f"{linked}/base").is_directory
    assert cache.open(f"{linked}/base/up/secret").content == b"outside"
    with pytest.raises(Unavailable) as caught:
        cache.open(f"{linked}/base/inner/f/x", f"{linked}/base")
    assert caught.value.status == 404
    with pytest.raises(Unavailable) as caught:
        cache.open(f"{linked}/basement", f"{linked}/base")
    assert caught.value.status == 403


def test_no_descriptor_is_lost(linked: Path, cache: FileCache, clock: Ticking) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for name in ("file", "up/secret", "inner/f", "inner/f/x", "missing/x", "inner"):
        for beneath in (None, f"{linked}/base"):
            clock.ahead += module.FRESH
            with contextlib.suppress(Unavailable):
                cache.send(request(), f"{linked}/base/{name}", TYPE, beneath=beneath).discard()
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_unreadable_file_is_403_and_becomes_readable(tmp_path: Path) -> None:
    """In a process of its own that is not root: nothing is unreadable for root."""
    path = write(tmp_path / "f", b"secret")
    path.chmod(0)
    program = f"""
import os, sys
sys.path[:0] = {sys.path!r}
from appliance.http.files import FileCache
from appliance.http.opening import Unavailable
from tests.static.subject import Ticking
os.chdir({str(tmp_path)!r})
if os.geteuid() == 0:
    os.chown(".", 65534, 65534)
    os.chown("f", 65534, 65534)
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
clock = Ticking()
cache = FileCache(clock)
try:
    cache.open("f")
except Unavailable as unavailable:
    print(unavailable.status, unavailable.reason)
os.chmod("f", 0o400)
clock.ahead += 1
print(cache.open("f").content)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert done.stdout == f"403 {os.strerror(errno.EACCES)}\nb'secret'\n", done.stderr


def test_the_applications_own_fields_count(tmp_path: Path, cache: FileCache) -> None:
    """X-Sendfile: what the application says about the file is kept, and compared."""
    path = str(write(tmp_path / "f", b"octets"))
    own: list[Header] = [(b"Content-Type", b"image/png"), (b"etag", b'"own"'), (b"X-Other", b"kept")]
    answer = cache.send(request(), path, own)
    assert (answer.status, content(answer)) == (200, b"octets")
    assert [value for name, value in answer.headers if name.lower() == b"etag"] == [b'"own"']
    assert (b"X-Other", b"kept") in answer.headers
    assert cache.send(request(if_none_match='"own"'), path, own).status == 304
    assert cache.send(request(range="bytes=0-1"), path, own).status == 206
    assert cache.send(request(range="bytes=0-1"), path, own, 404).status == 404
    with pytest.raises(Unavailable) as caught:
        cache.send(request(), path + "x", own)
    assert caught.value.status == 404
    assert len(own) == 3
