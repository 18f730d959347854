"""Changing a password file: what stays, what is refused, and that nothing is ever half written."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.errors import UserError
from appliance.passwords.writing import delete_user, set_password, verify_password
from tests.box import clean_environment, program

BCRYPT = "$2y$04$dHVygCh3SSHh1agDthOMb.B/gSndvGN1wORa0cCPPSbj/VaGj04uK"  # of "secret"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "users.htpasswd"


def others(file: Path, user: str) -> list[bytes]:
    return [line for line in file.read_bytes().split(b"\n") if not line.startswith(user.encode() + b":")]


def test_a_new_file_and_its_mode(file: Path) -> None:
    previous = os.umask(0o077)
    try:
        set_password(file, "joe", "secret")
    finally:
        os.umask(previous)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert verify_password(file, "joe", "secret")
    assert not verify_password(file, "joe", "wrong")
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_comments_order_and_line_endings_stay(file: Path) -> None:
    file.write_bytes(f"# team\r\nann:{BCRYPT}\r\n\r\njoe:{BCRYPT}\r\nzoe:{BCRYPT}".encode())
    set_password(file, "joe", "new")
    lines = file.read_bytes().split(b"\n")
    assert [line.split(b":")[0] for line in lines] == [b"# team\r", b"ann", b"\r", b"joe", b"zoe"]
    assert lines[3].endswith(b"\r") and not lines[4].endswith(b"\r")
    assert verify_password(file, "joe", "new") and verify_password(file, "zoe", "secret")
    set_password(file, "new", "new")
    assert file.read_bytes().split(b"\n")[4] == f"zoe:{BCRYPT}".encode()
    assert verify_password(file, "new", "new")


@pytest.mark.parametrize("content", ["", "# only a comment", f"ann:{BCRYPT}", f"ann:{BCRYPT}\n"])
def test_a_user_is_added_on_a_line_of_its_own(file: Path, content: str) -> None:
    file.write_text(content)
    set_password(file, "joe", "new")
    assert file.read_text().startswith(content)
    assert file.read_text().split("\n")[-2].startswith("joe:$2y$12$")
    assert file.read_text().count("\n") == len(content.splitlines()) + 1


def test_further_lines_of_the_user_go_so_that_no_old_password_comes_back(file: Path) -> None:
    file.write_text(f"joe:{BCRYPT}\nann:{BCRYPT}\njoe:plain\n")
    set_password(file, "joe", "new")
    assert file.read_text().count("joe:") == 1
    assert file.read_text().startswith("joe:$2y$12$")
    file.write_text(f"joe:{BCRYPT}\nann:{BCRYPT}\njoe:plain\n")
    delete_user(file, "joe")
    assert file.read_text() == f"ann:{BCRYPT}\n"


def test_octets_that_are_not_utf8_stay(file: Path) -> None:
    file.write_bytes(b"# caf\xe9\nm\xfcller:plain\n")
    set_password(file, "müller", "new")
    assert others(file, "müller") == [b"# caf\xe9", b"m\xfcller:plain", b""]
    assert verify_password(file, "müller", "new")


def test_owner_mode_and_attributes_stay(file: Path) -> None:
    file.write_text(f"ann:{BCRYPT}\n")
    file.chmod(0o604)
    if os.geteuid() == 0:
        os.chown(file, 12345, 54321)
    before = file.stat()
    try:
        os.setxattr(file, "user.note", b"kept")
        kept = True
    except OSError:
        kept = False  # this file system has no attributes
    set_password(file, "joe", "new")
    after = file.stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)
    assert not kept or os.getxattr(file, "user.note") == b"kept"


def test_a_link_stays_a_link(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file.name)
    set_password(link, "joe", "new")
    assert link.is_symlink() and file.is_file() and verify_password(link, "joe", "new")


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        ("", "empty"),
        ("a:b", "colon"),
        ("a\nb", "line break"),
        ("a\x00b", "control"),
        ("#a", "comment"),
        (" a", "blank"),
        ("a" * 256, "256 octets"),
        ("\udcff", "UTF-8"),
    ],
)
def test_names_that_no_file_could_hold(file: Path, user: str, reason: str) -> None:
    for change in (
        lambda: set_password(file, user, "new"),
        lambda: delete_user(file, user),
        lambda: verify_password(file, user, "new"),
    ):
        with pytest.raises(UserError, match=reason):
            change()
    assert not file.exists()


def test_what_is_missing_is_said(file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist; create it: fcgibox passwd"):
        delete_user(file, "joe")
    with pytest.raises(UserError, match=r"does not exist; create it: mkdir"):
        set_password(tmp_path / "no" / "file", "joe", "new")
    with pytest.raises(UserError, match="not a regular file"):
        set_password(tmp_path, "joe", "new")
    file.write_text("joe:$2y$31$" + "a" * 53 + "\n")
    with pytest.raises(UserError, match="no user 'bob'"):
        delete_user(file, "bob")
    with pytest.raises(UserError, match="no user 'bob'"):
        verify_password(file, "bob", "x")
    with pytest.raises(UserError, match="cost 31"):
        verify_password(file, "joe", "x")


AS_NOBODY = """
import os, sys
from collections.abc import Iterator
from pathlib import Path
from appliance.errors import UserError
from appliance.passwords.writing import set_password
import tempfile, random
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    set_password(Path(sys.argv[1]), "joe", "new")
except UserError as error:
    print(error)
"""


def as_nobody(file: Path) -> str:
    """What set_password says to a user without rights: nobody if we are root, else ourselves."""
    return python("-c", AS_NOBODY, str(file))


def python(*arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that every user can reach (pytest's own is private)."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_directory_that_we_may_not_write(public: Path) -> None:
    file = public / "users"
    file.write_text(f"ann:{BCRYPT}\n")
    file.chmod(0o644)
    public.chmod(0o555)
    said = as_nobody(file)
    public.chmod(0o755)
    assert f"cannot write in {public}: Permission denied; run this as the owner" in said
    assert file.read_text() == f"ann:{BCRYPT}\n"


def test_a_file_that_we_may_not_read(public: Path) -> None:
    file = public / "users"
    file.write_text(f"ann:{BCRYPT}\n")
    file.chmod(0o000)
    assert f"cannot read {file}: Permission denied; run this as its owner or as root" in as_nobody(file)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file that belongs to somebody else")
def test_a_file_whose_owner_we_could_not_keep(public: Path) -> None:
    file = public / "users"
    file.write_text(f"ann:{BCRYPT}\n")
    file.chmod(0o644)
    public.chmod(0o777)
    assert "belongs to user 0 and group 0" in as_nobody(file)
    assert file.read_text() == f"ann:{BCRYPT}\n" and file.stat().st_uid == 0
    assert [path.name for path in public.iterdir()] == ["users"]


def test_nothing_is_lost_when_the_file_cannot_grow(file: Path) -> None:
    content = "".join(f"user{number}:{BCRYPT}\n" for number in range(60))
    file.write_text(content)
    assert 4000 < len(content) < 4096
    # A process in which no file can pass 4 KiB: what a full disk looks like to the writer.
    limited = ["prlimit", "--fsize=4096:4096", *program(), "passwd", str(file), "joe"]
    done = subprocess.run(limited, input="new\n", capture_output=True, text=True, env=clean_environment())
    assert done.returncode == 1
    assert "nothing was changed" in done.stderr
    assert file.read_text() == content
    assert [path.name for path in file.parent.iterdir()] == [file.name]


NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")


def can_mount() -> bool:
    """Whether a user may have a mount namespace here (a container often forbids it)."""
    return subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(
    not can_mount(), reason="this machine forbids mount namespaces; RLIMIT_FSIZE is tested above"
)
def test_nothing_is_lost_on_a_full_disk(tmp_path: Path) -> None:
    """A file system of its own in a mount namespace of its own: it needs no rights and leaves nothing."""
    script = tmp_path / "full.py"
    script.write_text(
        """
import sys
from collections.abc import Iterator
from pathlib import Path
from appliance.errors import UserError
from appliance.passwords.writing import set_password, verify_password
file = Path(sys.argv[1]) / "users"
set_password(file, "joe", "secret")
before = file.read_bytes()
filler = open(file.with_name("filler"), "wb", buffering=0)
try:
    while filler.write(b"x" * 4096):
        pass
except OSError:
    pass
try:
    set_password(file, "ann", "new")
except UserError as error:
    print(error)
assert file.read_bytes() == before and verify_password(file, "joe", "secret")
print(sorted(path.name for path in file.parent.iterdir()))
"""
    )
    disk = tmp_path / "disk"
    disk.mkdir()
    command = f'mount -t tmpfs -o size=64k none "{disk}" && exec "{sys.executable}" "{script}" "{disk}"'
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [*NAMESPACE, "sh", "-c", command],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert "the disk is full; nothing was changed" in done.stdout
    assert "['filler', 'users']" in done.stdout


def test_a_crash_while_writing_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_password(file, "joe", "secret")
    before = file.read_bytes()

    def interrupted(fd: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        set_password(file, "joe", "new")
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_many_writers_at_once_lose_no_user(file: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from appliance.passwords.writing import set_password\n"
        "for number in range(3): set_password(Path(sys.argv[1]), f'{sys.argv[2]}{number}', 'secret')"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(file), name], env=environment) for name in "abcd"
    ]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    users = sorted(line.split(":")[0] for line in file.read_text().splitlines())
    assert users == sorted(f"{name}{number}" for name in "abcd" for number in range(3))
