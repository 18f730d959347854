"""What the front makes of a password file's content."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.passwords.formats import Kind
from appliance.passwords.store import Closed, PasswordFile, PasswordStore, read

DES = "n1aDrHL.9gnwI"
SHA1 = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="
BCRYPT = "$2y$04$dHVygCh3SSHh1agDthOMb.B/gSndvGN1wORa0cCPPSbj/VaGj04uK"


class Report(list[str]):
    """The lines that went to the error log."""

    def __call__(self, line: str) -> None:
        self.append(line)


def opened(store: PasswordStore, path: str) -> PasswordFile:
    file = store.get(path)
    assert isinstance(file, PasswordFile)
    return file


def test_users_comments_blank_lines_and_line_endings() -> None:
    report = Report()
    store = PasswordStore(report)
    store.update(
        "/f", f"\ufeffjoe:{DES}\r\n# a comment\r\n\r\n  \nzoë:{SHA1}\n#bob:{DES}\nlast:{BCRYPT}", None
    )
    assert list(opened(store, "/f").entries) == ["joe", "zoë", "last"]
    assert report == []


def test_the_first_line_of_a_user_counts_and_problems_have_line_numbers() -> None:
    report = Report()
    store = PasswordStore(report)
    store.update("/a b", f"joe:{DES}\nnonsense\njoe:{SHA1}\n:{DES}\nbob:$9$abc\ne\x07ve:{DES}\n", None)
    file = opened(store, "/a b")
    assert file.entries["joe"].kind is Kind.DES
    assert list(file.entries) == ["joe"]
    assert [line.split(": ")[0] for line in report] == ["/a b:2", "/a b:3", "/a b:4", "/a b:5", "/a b:6"]
    assert "stands in line 1" in report[1]
    assert "fcgibox passwd '/a b' bob" in report[3]
    assert DES not in "".join(report)


def test_problems_are_reported_once_for_each_content() -> None:
    report = Report()
    store = PasswordStore(report)
    for _ in range(3):
        store.update("/f", "nonsense\n", None)
    assert len(report) == 1
    store.update("/f", "nonsense\nmore\n", None)
    assert len(report) == 3


def test_a_binary_file_does_not_fill_the_log() -> None:
    report = Report()
    PasswordStore(report).update("/f", "nonsense\n" * 1000, None)
    assert len(report) == 11
    assert "990 more lines" in report[-1]


def test_a_missing_file_closes_its_login_and_the_line_says_what_mends_it() -> None:
    report = Report()
    store = PasswordStore(report)
    assert isinstance(store.get("/f"), Closed)
    store.update("/f", None, "No such file or directory")
    store.update("/f", None, "No such file or directory")
    store.update("/g", f"joe:{DES}", None)
    assert isinstance(store.get("/f"), Closed)
    assert isinstance(store.get("/g"), PasswordFile)
    assert len(report) == 1
    assert "/f" in report[0] and "No such file" in report[0] and "fcgibox passwd /f USER" in report[0]
    store.update("/f", f"joe:{DES}", None)
    assert list(opened(store, "/f").entries) == ["joe"]
    assert "open again" in report[-1]


def test_an_unknown_user_costs_what_most_users_cost() -> None:
    content = f"a:{DES}\nb:{BCRYPT}\nc:{BCRYPT}\nd:{SHA1}\n"
    file = read("/f", content, b"")
    assert file.dummy is not None and file.dummy.kind is Kind.BCRYPT and file.dummy.cost == 4
    assert read("/f", "", b"").dummy is None


def test_plain_text_is_advised_against_where_hashes_are_expected() -> None:
    report = Report()
    PasswordStore(report).update("/f", f"joe:secret\nbob:{DES}\neve:other\n", None)
    assert len(report) == 1
    assert "'joe' and 1 more" in report[0] and "fcgibox passwd /f joe" in report[0]
    assert "secret" not in report[0]


@pytest.mark.parametrize("asked_for_first", [True, False])
def test_a_plain_file_holds_nothing_but_plain_text(asked_for_first: bool) -> None:
    report = Report()
    store = PasswordStore(report)
    if asked_for_first:
        store.expect_plain("/f")
    store.update("/f", f"joe:{DES}\nbob:{BCRYPT}\n", None)
    store.expect_plain("/f")
    assert {entry.kind for entry in opened(store, "/f").entries.values()} == {Kind.PLAIN}
    assert report == []


@given(st.text(max_size=300))
@pytest.mark.parametrize("plain_only", [False, True])
def test_any_content_is_read(plain_only: bool, content: str) -> None:
    file = read("/f", content, hashlib.sha256(content.encode("utf-8", "surrogatepass")).digest())
    assert all(user and ":" not in user and "\n" not in user for user in file.entries)
