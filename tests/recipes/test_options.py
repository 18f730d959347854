"""Options that are wrong for themselves: the exact words, and what is read from right ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from appliance.errors import UserError
from recipes.trac.listen import Listen, own_addresses, parse, urls
from tests.recipes.sites import environment, plan


@pytest.fixture
def env(place: Path) -> Path:
    """An environment."""
    return environment(place / "one")


def refusal(*words: Any) -> tuple[str, int]:
    """Message and exit status."""
    with pytest.raises(UserError) as caught:
        plan(*words).text()
    return str(caught.value), caught.value.status


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            [],
            "which Trac? Say --env DIR (a missing or empty DIR becomes a new one) or --parent-dir DIR; "
            "`fcgibox recipe trac --help` explains",
        ),
        (
            ["--env", "a", "--parent-dir", "b"],
            "--env and --parent-dir exclude each other: an environment elsewhere can be linked into it",
        ),
        (["--env", "ENV", "--listen", "0"], "--listen 0: a port is between 1 and 65535"),
        (
            ["--env", "ENV", "--listen", "http"],
            "--listen http: say PORT, ADDR:PORT, [IPV6]:PORT or unix:/path",
        ),
        (["--env", "ENV", "--listen", "1.2.3:80"], "--listen 1.2.3:80: '1.2.3' is not an IP address"),
        (
            ["--env", "ENV", "--listen", "[127.0.0.1]:80"],
            "--listen [127.0.0.1]:80: only an IPv6 address stands in brackets, and always does: [::1]:8000",
        ),
        (
            ["--env", "ENV", "--listen", "unix:trac.sock"],
            "--listen unix:trac.sock: the path of a unix socket begins with a slash: unix:/run/trac.sock",
        ),
        (["--env", "ENV", "--listen", "80", "--listen", ":80"], "--listen :80 is there twice"),
        (
            ["--env", "ENV", "--lan", "--listen", "192.0.2.1:80"],
            "--lan has nothing to open: every --listen names its address; leave one of the two out",
        ),
        (["--env", "ENV", "--at", "/a b?"], "--at /a b?: a prefix is like /trac or /tools/trac"),
        (["--env", "ENV", "--at", "/../x"], "--at /../x: a prefix is like /trac or /tools/trac"),
        (
            ["--env", "ENV", "--url", "example.org/trac"],
            "--url example.org/trac: say what browsers see, like https://example.org or https://example.org/trac",
        ),
        (
            ["--env", "ENV", "--url", "https://joe:pw@example.org"],
            "--url https://joe:pw@example.org: say what browsers see, like https://example.org "
            "or https://example.org/trac",
        ),
        (["--env", "ENV", "--processes", "many"], "--processes many: say MIN-MAX, like 1-4, or one number"),
        (
            ["--env", "ENV", "--processes", "4-2"],
            "--processes 4-2: 1 is the least, 64 the most, and MIN comes first",
        ),
        (
            ["--env", "ENV", "--processes", "0"],
            "--processes 0: 1 is the least, 64 the most, and MIN comes first",
        ),
        (
            ["--env", "ENV", "--locale", "xx_YY"],
            "--locale xx_YY: this machine has no such locale; `locale -a` lists those it has "
            "(Debian: dpkg-reconfigure locales)",
        ),
        (
            ["--env", "ENV", "--realm", 'a "b"'],
            "--realm 'a \"b\"': printable text without quotes and backslashes, please",
        ),
        (
            ["--env", "ENV", "--htpasswd", "a", "--htpasswd", "b"],
            "--htpasswd says two files for all projects, HERE/a and HERE/b; use NAME=FILE",
        ),
        (
            ["--env", "x=ENV", "--htpasswd", "y=b"],
            "--htpasswd y=b: there is no project 'y' (x)",
        ),
        (
            ["--env", "x=ENV", "--env", "y=ENV"],
            "ENV is there twice, as 'x' and as 'y'",
        ),
        (
            ["--env", "ENV", "--env", "other/one"],
            "two projects are called 'one' (ENV and HERE/other/one); give one another name: "
            "--env NAME=HERE/other/one",
        ),
        (
            ["--env", "ENV", "--env", "a?b"],
            "--env a?b: 'a?b' cannot be the name of a project in a URL; give another: --env NAME=a?b",
        ),
        (
            ["--env", "a:b"],
            "--env 'a:b': it holds a \":\", which separates paths in the environment of the Trac processes; "
            "rename it or use a symbolic link",
        ),
        (
            ["--env", "a\\b"],
            "--env 'a\\\\b': it holds a backslash, which the configuration language cannot say; "
            "rename it or use a symbolic link",
        ),
        (
            ["--env", "a\nb"],
            "--env 'a\\nb': it holds a control character; rename it or use a symbolic link",
        ),
        (
            ["--env", "a\udcffb"],
            "--env 'a\\udcffb': its name is not UTF-8; rename it or use a symbolic link",
        ),
    ],
)
def test_wrong_options(
    words: list[str], message: str, env: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    words = [word.replace("ENV", str(env)) for word in words]
    expected = message.replace("ENV", str(env)).replace("HERE", str(place))
    assert refusal(*words) == (expected, 2)


def test_private_index_needs_one_password_file(place: Path) -> None:
    words = ("--env", environment(place / "a"), "--env", environment(place / "b"), "--private")
    assert refusal(*words) == (
        "--private protects the index page too, and the projects have different password files: "
        "say who may see it with --htpasswd /=FILE",
        2,
    )
    assert plan(*words, "--htpasswd", place / "all").text()
    assert plan(*words, f"--htpasswd=/={place / 'all'}").text()


@pytest.mark.parametrize(
    ("text", "lan", "name"),
    [
        ("8000", False, "127.0.0.1:8000"),
        (":8000", False, "127.0.0.1:8000"),
        ("8000", True, "0.0.0.0:8000"),
        (":80", True, "0.0.0.0:80"),
        ("*:80", False, "0.0.0.0:80"),
        ("localhost:81", True, "127.0.0.1:81"),
        ("[::]:80", False, "[::]:80"),
        ("[::0001]:65535", False, "[::1]:65535"),
        ("unix:/run/x.sock", True, "unix:/run/x.sock"),
        ("/run/x.sock", False, "unix:/run/x.sock"),
    ],
)
def test_addresses(text: str, lan: bool, name: str) -> None:
    assert str(parse(text, lan)) == name


def test_urls_are_those_that_work() -> None:
    assert urls(Listen("127.0.0.1", 8000), "/trac/") == ["http://127.0.0.1:8000/trac/"]
    assert urls(Listen("::1", 80), "/") == ["http://[::1]/"]
    assert urls(Listen("/run/x", 0), "/") == []
    everywhere = urls(Listen("0.0.0.0", 81), "/")
    assert everywhere[-1] == "http://127.0.0.1:81/"
    assert everywhere[:-1] == [f"http://{address}:81/" for address in own_addresses() if ":" not in address]
