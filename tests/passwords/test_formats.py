"""Every format against the tool that people make it with, and the limits that keep a check short."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import UserError
from appliance.passwords.formats import (
    Entry,
    FormatError,
    Kind,
    decode_basic,
    hash_password,
    matches,
    parse,
    plain,
)

PASSWORDS = ["a", "secret", "correct horse battery staple", "pässwörd 🔑", "with:colon", "x" * 72]


def output(*command: str, stdin: str = "") -> str:
    """What a tool prints."""
    return subprocess.run(command, input=stdin, capture_output=True, check=True, text=True).stdout.strip()


def htpasswd(option: str, password: str) -> str:
    return output("htpasswd", "-ni", *option.split(), "joe", stdin=password).removeprefix("joe:")


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize(
    ("option", "kind"), [("-B -C 4", Kind.BCRYPT), ("-m", Kind.APR1), ("-s", Kind.SHA1), ("-d", Kind.DES)]
)
def test_htpasswd_of_apache(option: str, kind: Kind, password: str) -> None:
    if kind is Kind.DES:
        password = password.encode()[:8].decode(errors="ignore")  # htpasswd refuses what DES would ignore
    entry = parse(htpasswd(option, password))
    assert entry.kind is kind
    assert matches(entry, password.encode())
    assert not matches(entry, b"!" + password.encode())


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize(
    ("option", "kind"),
    [("-apr1", Kind.APR1), ("-1", Kind.MD5), ("-5", Kind.SHA256), ("-6", Kind.SHA512)],
)
def test_openssl_passwd(option: str, kind: Kind, password: str) -> None:
    entry = parse(output("openssl", "passwd", option, "-stdin", stdin=password))
    assert entry.kind is kind
    assert matches(entry, password.encode())
    assert not matches(entry, password.encode() + b"!")


def test_apr1_of_every_length() -> None:
    words = [("abcdefghijklmnopqrstuvwxyz" * 5)[:length] for length in range(1, 101)]
    made = output("openssl", "passwd", "-apr1", "-salt", "f00Bar./", "-stdin", stdin="\n".join(words)).split()
    for word, hashed in zip(words, made, strict=True):
        assert matches(parse(hashed), word.encode()), len(word)


@pytest.mark.parametrize("password", PASSWORDS)
def test_password_hash_of_php(password: str, tmp_path: Path) -> None:
    script = tmp_path / "hash.php"
    script.write_text('<?php echo password_hash(getenv("WORD"), PASSWORD_BCRYPT, ["cost" => 4]);')
    hashed = subprocess.run(
        ["php-cgi", "-q", str(script)],
        env={**os.environ, "WORD": password},
        capture_output=True,
        check=True,
        text=True,
    ).stdout.strip()
    assert hashed.startswith("$2y$")
    for variant in ("$2y$", "$2b$", "$2a$"):
        assert matches(parse(variant + hashed[4:]), password.encode())
        assert not matches(parse(variant + hashed[4:]), password.encode()[1:] + b"!")


@pytest.mark.parametrize("password", PASSWORDS)
def test_our_hashes_satisfy_apache(password: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text(f"joe:{hash_password(password, cost=4)}\n")
    subprocess.run(
        ["htpasswd", "-vi", str(file), "joe"], input=password.encode(), check=True, capture_output=True
    )


def test_new_passwords_are_bcrypt_of_cost_12_with_a_salt_of_their_own() -> None:
    first, second = hash_password("secret"), hash_password("secret")
    assert first.startswith("$2y$12$")
    assert first != second
    assert parse(first) == Entry(Kind.BCRYPT, 12, first)


@pytest.mark.parametrize(
    ("password", "reason"),
    [("", "empty"), ("a\nb", "control"), ("a\0b", "control"), ("ü" * 37, "72"), ("\udcff", "UTF-8")],
)
def test_passwords_that_could_not_be_used_are_refused(password: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        hash_password(password)


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        ("$6$rounds=999999999$salt$" + "a" * 86, "rounds=999999999"),
        ("$5$rounds=1000001$salt$" + "a" * 43, "rounds=1000001"),
        ("$5$rounds=10$salt$" + "a" * 43, "rounds=10"),
        ("$2y$31$" + "a" * 53, "cost 31"),
        ("$2y$17$" + "a" * 53, "cost 17"),
        ("$2y$03$" + "a" * 53, "cost 3"),
        ("$2y$12$" + "a" * 52, "damaged"),
        ("$7$scrypt", "unknown format"),
        ("{SSHA}abcd", "unknown format"),
        ("{SHA}abcd", "damaged"),
        ("!$6$salt$" + "a" * 86, "unknown format"),
        ("", "nobody can log in"),
        ("x", "nobody can log in"),
        ("*", "nobody can log in"),
        ("!", "nobody can log in"),
    ],
)
def test_what_cannot_be_checked_is_refused_and_never_a_password_itself(stored: str, reason: str) -> None:
    with pytest.raises(FormatError, match=reason):
        parse(stored)


def test_the_longest_check_allowed_ends_within_seconds() -> None:
    for stored in ("$6$rounds=1000000$salt$" + "a" * 86, "$5$rounds=1000000$salt$" + "a" * 43):
        began = time.monotonic()
        assert not matches(parse(stored), b"secret")
        assert time.monotonic() - began < 10


def test_plain_text() -> None:
    assert parse("open: sesame ") == Entry(Kind.PLAIN, 0, "open: sesame ")
    assert matches(parse("open: sesame "), b"open: sesame ")
    assert not matches(parse("open: sesame "), b"open: sesame")
    assert matches(plain("$1$looks$like a hash"), b"$1$looks$like a hash")
    assert not matches(plain(""), b"")


def test_further_fields_after_a_hash_are_ignored_as_in_apache() -> None:
    hashed = output("openssl", "passwd", "-6", "-stdin", stdin="secret")
    assert matches(parse(f"{hashed}:19000:0:99999"), b"secret")


@pytest.mark.parametrize("password", [b"", b"secret\0", b"secret\0more", b"x" * 512, b"x" * 5000])
@pytest.mark.parametrize("option", ["-apr1", "-1", "-6"])
def test_passwords_that_can_never_be_right(option: str, password: bytes) -> None:
    assert not matches(parse(output("openssl", "passwd", option, "-stdin", stdin="secret")), password)


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("am9lOnNlY3JldA==", (b"joe", b"secret")),
        ("am9lOnNlY3JldA", (b"joe", b"secret")),
        ("am9lOmE6Yg==", (b"joe", b"a:b")),
        ("Og==", (b"", b"")),
        ("am9l", None),  # no colon
        ("!!!", None),
        ("am9lOnNlY3JldA==junk", None),
        ("a", None),
        ("ü", None),
    ],
)
def test_basic_tokens(token: str, expected: tuple[bytes, bytes] | None) -> None:
    assert decode_basic(token) == expected


@given(st.text(max_size=200))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        entry = parse(text)
    except FormatError as error:
        assert len(text) < 8 or text not in str(error)  # a message never quotes what was stored
    else:
        assert entry.kind in Kind
