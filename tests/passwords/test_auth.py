"""auth.require on the real loop: what lighttpd answers, and what it has no answer to."""

from __future__ import annotations

import base64
import http.client
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import pytest

from appliance.config import AuthRule, Settings, load
from appliance.handlers import auth
from appliance.handlers.exchange import AGAIN, PENDING, Handler
from appliance.http.request import Endpoint, Request
from appliance.http.response import Header, Response
from appliance.http.spool import Spool
from appliance.passwords.checker import Checker
from appliance.passwords.formats import hash_password
from appliance.passwords.store import PasswordStore
from appliance.passwords.throttle import DELAYED_LIMIT, Throttle
from tests.passwords.turning import Turning

FAST = hash_password("secret", cost=4)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Lines(list[str]):
    """An error log that remembers what went in."""

    debug = traced = info = warning = error = list.append


class Site:
    """A configuration's auth handler with all that it needs of a front."""

    def __init__(self, text: str, origin: str = "site.conf") -> None:
        self.turning = Turning()
        self.log = Lines()
        self.time = time.monotonic()
        self.clock = self
        self.passwords = PasswordStore(self.log.warning)
        self.checker = Checker(self.turning.workers, self.now, self.log.error)
        self.throttle = Throttle()
        configuration = load(text if "server.modules" in text else MODULES + text, origin)
        self.settings: Settings = configuration.settings
        handler = auth.build(self.settings, self)
        assert handler is not None
        self.handler: Handler = handler
        for path in configuration.password_files():
            self.read(path)

    def now(self) -> float:
        return self.time

    def read(self, path: str) -> None:
        """Hand the file's content on, as the supervisor does."""
        try:
            self.passwords.update(path, Path(path).read_text(), None)
        except OSError as error:
            self.passwords.update(path, None, error.strerror)

    def ask(self, path: str, authorization: str | None = None, address: str = "192.0.2.1") -> Asked:
        """Give one request to the handler."""
        asked = Asked(self, path, authorization, address)
        outcome = self.handler(asked)
        if outcome is not PENDING:
            assert outcome is not AGAIN
            asked.finish(outcome)
        return asked

    def status(self, path: str, authorization: str | None = None, address: str = "192.0.2.1") -> int:
        """The status of one request, when it has one."""
        return self.answered(path, authorization, address).status

    def answered(self, path: str, authorization: str | None = None, address: str = "192.0.2.1") -> Asked:
        """Give one request to the handler and wait for its answer."""
        asked = self.ask(path, authorization, address)
        self.turning.until(lambda: asked.status != 0)
        return asked


class Asked:
    """One request on its way; status 200 stands for "passed on", 0 for "not answered yet"."""

    def __init__(self, site: Site, path: str, authorization: str | None, address: str) -> None:
        headers = [(b"Host", b"x")]
        if authorization is not None:
            headers.append((b"Authorization", authorization.encode()))
        self.request = Request(
            "GET", path.encode(), "HTTP/1.1", headers, path, "", "x", "x",
            Endpoint("http", "127.0.0.1:80", address, 1, "127.0.0.1", 80), 0, True,
        )  # fmt: skip
        self.settings = site.settings
        self.environment: dict[str, str] = {}
        self.on_gone: Callable[[], None] | None = None
        self.status = 0
        self.response: Response | None = None
        self.delays: list[float] = []
        self._site = site

    def finish(self, response: Response | None) -> None:
        assert self.status == 0, "answered twice"
        self.response = response
        self.status = response.status if response else 200

    respond = finish

    def proceed(self) -> None:
        self.finish(None)

    def receive_body(self, done: Callable[[Spool], None]) -> None:
        raise AssertionError("the body is none of auth's business")

    def interim(self, status: int, headers: list[Header]) -> None:
        raise AssertionError("auth says nothing ahead of the answer")

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Callable[[], None]:
        self.delays.append(seconds)
        return self._site.turning.loop.call_later(seconds, callback).cancel

    def field(self, name: bytes) -> str | None:
        """A field of the answer."""
        values = [value for key, value in (self.response.headers if self.response else []) if key == name]
        return values[0].decode() if values else None


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    path.write_text(f"joe:{FAST}\nann:{FAST}\njürgen:{FAST}\n")
    return path


def site_of(users: Path, require: str, more: str = "") -> Site:
    return Site(
        f'auth.backend = "htpasswd"\nauth.backend.htpasswd.userfile = "{users}"\n'
        f"auth.require = ({require})\n{more}"
    )


MODULES = 'server.modules = ("mod_auth", "mod_authn_file")\n'
VALID = '"/" => ("method" => "basic", "realm" => "R", "require" => "valid-user")'


def test_a_scope_without_rules_has_no_handler() -> None:
    turning = Turning()
    assert auth.build(load("", "x").settings, Services(turning)) is None


class Services:
    """What a front offers, for a scope that needs nothing of it."""

    def __init__(self, turning: Turning) -> None:
        self.log = Lines()
        self.clock = turning.loop
        self.passwords = PasswordStore(self.log.warning)
        self.checker = Checker(turning.workers, turning.loop.now, self.log.error)
        self.throttle = Throttle()


def test_a_user_passes_with_name_and_method_for_the_application(users: Path) -> None:
    site = site_of(users, VALID)
    for _ in range(2):  # the second from memory
        asked = site.answered("/x", basic("jürgen", "secret"))
        assert asked.status == 200
        assert asked.environment == {"REMOTE_USER": "jürgen", "AUTH_TYPE": "Basic"}
        assert asked.on_gone is None


def test_the_challenge_quotes_the_realm(users: Path) -> None:
    site = site_of(users, VALID.replace('"R"', r'"a \"b\" ü"'))
    asked = site.ask("/x")
    assert asked.status == 401
    assert asked.field(b"WWW-Authenticate") == r'Basic realm="a \"b\" ü", charset="UTF-8"'
    assert asked.field(b"Content-Type") == "text/html; charset=utf-8"
    assert asked.environment == {}


@pytest.mark.parametrize(
    "authorization",
    [
        basic("joe", "wrong"),
        basic("nobody", "secret"),
        basic("", "secret"),
        basic("joe", ""),
        basic("joe\n", "secret"),
        "Basic " + base64.b64encode("jürgen:secret".encode("latin-1")).decode(),
        "Basic " + base64.b64encode(b"joe:" + b"x" * 2000).decode(),
        "Bearer abc",
        "Basic",
        "",
    ],
)
def test_what_is_asked_again(users: Path, authorization: str) -> None:
    assert site_of(users, VALID).status("/x", authorization) == 401


@pytest.mark.parametrize("rest", ["!!!", "YW5u", "am9lOnNlY3JldA== junk"])
def test_what_is_no_basic_token_is_400(users: Path, rest: str) -> None:
    """As lighttpd, which however ignores what stands after the padding."""
    assert site_of(users, VALID).status("/x", f"Basic {rest}") == 400


def test_a_missing_file_closes_this_login_only_and_says_what_mends_it(users: Path) -> None:
    site = site_of(users, VALID)
    users.unlink()
    site.read(str(users))
    asked = site.ask("/x", basic("joe", "secret"))
    assert asked.status == 503 and asked.field(b"Retry-After") == "60"
    assert str(users).encode() not in asked.response.body  # type: ignore[operator, union-attr]
    mending = [line for line in site.log if f"fcgibox passwd {users} USER" in line]
    assert mending and "No such file" in mending[0]
    lines = len(site.log)
    assert site.status("/x") == 503
    assert len(site.log) == lines  # once a minute is enough
    users.write_text(f"joe:{FAST}\n")
    site.read(str(users))
    assert site.status("/x", basic("joe", "secret")) == 200
    assert site.status("/x", basic("ann", "secret")) == 401


@pytest.mark.holds("auth.backend", "auth.backend.plain.userfile")
def test_a_file_of_plain_passwords(users: Path) -> None:
    users.write_text(f"joe:secret\nann:{FAST}\n")
    text = f'auth.backend = "plain"\nauth.backend.plain.userfile = "{users}"\nauth.require = ({VALID})\n'
    site = Site(text)
    site.read(str(users))
    assert site.status("/x", basic("joe", "secret")) == 200
    assert site.status("/x", basic("ann", "secret")) == 401
    assert site.status("/x", basic("ann", FAST)) == 200
    assert len(site.log) == 1  # the wrong password, and no advice to hash what has to be plain


@pytest.mark.parametrize("method", ["basic", "digest"])
def test_what_the_configuration_should_have_refused_is_closed(
    users: Path, method: Literal["basic", "digest"]
) -> None:
    site = site_of(users, VALID)
    rule = AuthRule("/", method, "R", ("valid-user",))
    backend = {"auth.backend": "htpasswd", "auth.backend.htpasswd.userfile": str(users)}
    settings = Settings({"auth.require": (rule,), **(backend if method == "digest" else {})})
    handler = auth.build(settings, site)
    assert handler is not None
    site.handler = handler
    assert site.status("/x", basic("joe", "secret")) == 503
    assert "method basic" in site.log[0]


def test_a_changed_password_counts_at_once(users: Path) -> None:
    site = site_of(users, VALID)
    assert site.status("/x", basic("joe", "secret")) == 200
    users.write_text(f"joe:{hash_password('new', cost=4)}\n")
    site.read(str(users))
    assert site.status("/x", basic("joe", "secret")) == 401
    assert site.status("/x", basic("joe", "new")) == 200


def test_repeated_failures_from_one_address_are_slowed_and_nobody_else(users: Path) -> None:
    site = site_of(users, VALID)
    delays = []
    for number in range(5):
        asked = site.answered("/x", basic("joe", f"wrong{number}"))
        assert asked.status == 401
        delays += asked.delays or [0]
    assert delays == [0, 0, 0, 0.5, 1]
    began = time.monotonic()
    assert site.status("/x", basic("joe", "wrong"), address="192.0.2.2") == 401
    assert site.status("/x", basic("joe", "secret")) == 200
    assert time.monotonic() - began < 0.4
    assert len([line for line in site.log if "wrong password for 'joe' from 192.0.2.1" in line]) == 5
    assert "wrong0" not in "".join(site.log)


def test_names_that_do_not_exist_are_not_logged(users: Path) -> None:
    site = site_of(users, VALID)
    assert site.status("/x", basic("my-password-typed-here", "x")) == 401
    assert "my-password-typed-here" not in "".join(site.log)
    assert "192.0.2.1" in site.log[-1]


def test_too_many_delayed_answers_are_429_without_a_check(users: Path) -> None:
    site = site_of(users, VALID)
    waiting = []
    for number in range(DELAYED_LIMIT + 3):
        asked = site.ask("/x", basic("joe", f"wrong{number}"))
        site.turning.until(lambda: bool(asked.status or asked.delays))  # noqa: B023
        waiting.append(asked)
    assert [asked.status for asked in waiting[:3]] == [401] * 3
    refused = site.ask("/x", basic("joe", "wrong"))
    assert refused.status == 429 and refused.field(b"Retry-After") == "8"
    assert site.ask("/x", basic("joe", "secret"), address="192.0.2.2").status in (0, 200)
    for asked in waiting[3:]:
        if asked.on_gone:
            asked.on_gone()
    # Who goes and does not wait for the answer guesses no faster.
    assert site.status("/x", basic("joe", "another")) == 429
    site.time += 8
    assert site.status("/x", basic("ann", "secret")) == 200


def test_a_client_that_goes_during_the_check_is_not_answered(users: Path) -> None:
    site = site_of(users, VALID)
    asked = site.ask("/x", basic("joe", "secret"))
    assert asked.on_gone is not None
    asked.on_gone()
    assert site.status("/x", basic("ann", "secret")) == 200
    assert asked.status == 0


def test_a_full_queue_is_503_with_retry_after(users: Path) -> None:
    users.write_text(f"joe:{hash_password('secret', cost=8)}\n")
    site = site_of(users, VALID)
    asked = [site.ask("/x", basic("joe", f"w{number}"), f"10.0.{number}.1") for number in range(80)]
    refused = [one for one in asked if one.status]
    assert refused and {one.status for one in refused} == {503}
    assert refused[0].field(b"Retry-After") == "5"
    site.turning.until(lambda: all(one.status for one in asked))
    assert {one.status for one in asked} == {401, 503}


LIGHTTPD = """
server.modules = ("mod_auth", "mod_authn_file")
server.document-root = "{root}"
server.bind = "127.0.0.1"
server.port = {port}
index-file.names = ("index.html")
server.errorlog = "{root}/../error.log"
auth.backend = "htpasswd"
auth.backend.htpasswd.userfile = "{users}"
auth.require = (
    "/privately" => ("method" => "basic", "realm" => "B", "require" => "user=ann|user=bcrypt"),
    "/private" => ("method" => "basic", "realm" => "A realm", "require" => "valid-user"),
    "/private/x" => ("method" => "basic", "realm" => "never reached", "require" => "user=nobody"),
    "/one" => ("method" => "basic", "realm" => "C", "require" => "user=jürgen"),
)
"""
PATHS = ["/", "/open/x", "/private", "/private/x", "/privately/x", "/privatex", "/one/x", "/priva"]


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, int]]:
    """A real lighttpd and our handler, from the same text."""
    root = tmp_path_factory.mktemp("lighttpd") / "root"
    for path in PATHS:
        if path != "/":
            file = root / path[1:] if path.count("/") > 1 else root / path[1:] / "index.html"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("here")
    (root / "index.html").write_text("here")
    users = root.parent / "users"

    def tool(*command: str) -> str:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    lines = ["# people", "", "nocolon"]
    lines += [
        f"{option[1:]}:{tool('openssl', 'passwd', option, 'secret')}"
        for option in ("-apr1", "-1", "-5", "-6")
    ]
    lines += [
        tool("htpasswd", "-nb", *option.split(), "secret") for option in ("-s sha", "-d des", "-BC4 bcrypt")
    ]
    lines += [f"ann:{FAST}", f"ann:{hash_password('other', cost=4)}", f"jürgen:{FAST}"]
    users.write_text("\n".join(lines) + "\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    text = LIGHTTPD.format(root=root, users=users, port=port)
    configuration = root.parent / "lighttpd.conf"
    configuration.write_text(text)
    server = subprocess.Popen(
        ["/usr/sbin/lighttpd", "-D", "-f", str(configuration)], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except ConnectionRefusedError:
            assert time.monotonic() < deadline and server.poll() is None, "lighttpd does not start"
            time.sleep(0.02)
    yield Site(text), port
    server.terminate()
    server.wait(10)


def lighttpd(port: int, path: str, authorization: str | None) -> tuple[int, str | None]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {} if authorization is None else {"Authorization": authorization}
    connection.request("GET", path, headers={name: value.encode() for name, value in headers.items()})
    answer = connection.getresponse()
    connection.close()
    status = 200 if answer.status == 301 else answer.status  # a directory without its slash: admitted
    return status, answer.getheader("WWW-Authenticate")


@pytest.mark.holds("auth.backend", "auth.backend.htpasswd.userfile", "auth.require")
def test_the_same_answers_as_lighttpd(oracle: tuple[Site, int]) -> None:
    site, port = oracle
    cases: list[tuple[str, str | None]] = [(path, None) for path in PATHS]
    cases += [(path, basic("ann", "secret")) for path in PATHS]
    cases += [(path, basic("jürgen", "secret")) for path in ("/privately/x", "/one/x")]
    names = ["apr1", "1", "5", "6", "sha", "des", "bcrypt"]
    cases += [("/private/x", basic(name, "secret")) for name in names]
    cases += [("/private/x", basic(name, "wrong")) for name in names]
    token = basic("ann", "secret").removeprefix("Basic ")
    cases += [
        ("/private/x", authorization)
        for authorization in (
            basic("ann", "other"),
            basic("nobody", "secret"),
            basic("", "secret"),
            basic("nocolon", ""),
            f"basic {token}",
            f"BASIC   {token}",
            f"Basic {token.rstrip('=')}",
            "Basic !!!",
            "Basic YW5u",
            "Basic",
            "Bearer x",
            "Basic " + base64.b64encode(b"ann:sec\0ret").decode(),
            "Basic " + "a" * 3000,
        )
    ]
    with ThreadPoolExecutor(len(cases)) as threads:
        expected = list(threads.map(lambda case: lighttpd(port, *case), cases))
    found = []
    for number, (path, authorization) in enumerate(cases):
        asked = site.answered(path, authorization, address=f"192.0.2.{number}")
        found.append((asked.status, asked.field(b"WWW-Authenticate")))
    differences = [row for row in zip(cases, expected, found, strict=True) if row[1] != row[2]]
    assert not differences, differences
    assert {status for status, _ in found} == {200, 400, 401}
