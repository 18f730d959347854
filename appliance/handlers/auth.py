"""auth.require: who may see what, by HTTP Basic (RFC 7617).

As lighttpd's mod_auth: the first rule whose key the URL path begins with counts, in the order of the
configuration, and a user it does not admit is asked again (401). What we do better: checking runs in worker
threads, repeated failures are slowed, and a password file that cannot be read closes its login (503) and
nothing else. The Authorization field is passed on to applications, as lighttpd does; REMOTE_USER never
comes from the client.
"""

from __future__ import annotations

import functools
from typing import Protocol

from appliance.config import AuthRule, Settings
from appliance.handlers.exchange import PENDING, Clock, Exchange, Handler, Log, Outcome
from appliance.http.response import Response, error_response
from appliance.passwords.checker import Check, Checker, Verdict
from appliance.passwords.formats import decode_basic, has_control
from appliance.passwords.store import Closed, PasswordFile, PasswordStore, describe
from appliance.passwords.throttle import Throttle, source_of

TOKEN_LIMIT = 1368  # characters: 1024 octets of user and password
CLOSED_LOG_INTERVAL = 60.0  # seconds between two lines about the same closed login


class Services(Protocol):
    """What this handler needs of the front."""

    @property
    def clock(self) -> Clock: ...

    @property
    def log(self) -> Log: ...

    @property
    def passwords(self) -> PasswordStore: ...

    @property
    def checker(self) -> Checker: ...

    @property
    def throttle(self) -> Throttle: ...


def build(settings: Settings, services: Services) -> Handler | None:
    """The handler for this scope's auth.require; None if it has none."""
    rules = settings.auth_rules()
    if not rules:
        return None
    file = _user_file(settings, services.passwords)
    gates = tuple((rule.prefix, _Gate(rule, file, services)) for rule in rules)

    def handle(exchange: Exchange) -> Outcome:
        path = exchange.request.path
        for prefix, gate in gates:
            if path.startswith(prefix):
                return gate.handle(exchange)
        return None

    return handle


def _user_file(settings: Settings, passwords: PasswordStore) -> str | None:
    if settings.optional_string("auth.backend") != "plain":
        return settings.optional_string("auth.backend.htpasswd.userfile")
    path = settings.optional_string("auth.backend.plain.userfile")
    if path is not None:
        passwords.expect_plain(path)
    return path


class _Gate:
    """One rule of auth.require."""

    def __init__(self, rule: AuthRule, file: str | None, services: Services) -> None:
        self._file = file
        self.services = services
        self._basic = rule.method == "basic"
        self._anybody = "valid-user" in rule.require
        self._admitted = frozenset(
            word.removeprefix("user=") for word in rule.require if word.startswith("user=")
        )
        realm = rule.realm.replace("\\", "\\\\").replace('"', '\\"')
        self._challenge = f'Basic realm="{realm}", charset="UTF-8"'.encode("utf-8", "surrogateescape")
        self._closed_logged: float | None = None

    def handle(self, exchange: Exchange) -> Outcome:
        services = self.services
        if self._file is None or not self._basic:
            return self._closed(
                "auth.require works with method basic, and needs auth.backend and its userfile"
            )
        file = services.passwords.get(self._file)
        if isinstance(file, Closed):
            return self._closed(describe(file))
        scheme, _, token = exchange.request.header("authorization").partition(" ")
        token = token.strip()
        if scheme.lower() != "basic" or not token or len(token) > TOKEN_LIMIT:
            return self.ask()
        credentials = decode_basic(token)
        if credentials is None:
            return error_response(400, "The login that your browser sent cannot be read.")
        user = _user_name(credentials[0])
        password = credentials[1]
        if user is None:
            return self.ask()
        if services.checker.known(file, user, password):
            return None if self.admit(exchange, user) else self.ask()
        source = source_of(exchange.request.remote_address)
        if services.throttle.crowded(source, services.clock.now()):
            return _wait(429, "Too many wrong logins came from your address. Try again in a moment.", 8)
        return _Login(self, exchange, file, user, source).begin(password)

    def admit(self, exchange: Exchange, user: str) -> bool:
        """Let a user whose password was right pass, if the rule admits them."""
        if not self._anybody and user not in self._admitted:
            return False
        exchange.environment["REMOTE_USER"] = user
        exchange.environment["AUTH_TYPE"] = "Basic"
        return True

    def ask(self) -> Response:
        """Have the browser ask for user and password."""
        return error_response(
            401,
            "This page needs a login. Reload it and enter your user name and password.",
            [(b"WWW-Authenticate", self._challenge)],
        )

    def _closed(self, reason: str) -> Response:
        now = self.services.clock.now()
        if self._closed_logged is None or now - self._closed_logged >= CLOSED_LOG_INTERVAL:
            self._closed_logged = now
            self.services.log.error(f"login refused: {reason}")
        return _login_closed()


class _Login:
    """A user and password whose check takes time; the client may go at any moment."""

    def __init__(self, gate: _Gate, exchange: Exchange, file: PasswordFile, user: str, source: str) -> None:
        self._gate = gate
        self._exchange = exchange
        self._file = file
        self._user = user
        self._source = source

    def begin(self, password: bytes) -> Outcome:
        """Start the check."""
        checker = self._gate.services.checker
        outcome = checker.check(self._file, self._user, password, self._source, self._checked)
        if isinstance(outcome, Check):
            self._exchange.on_gone = functools.partial(checker.cancel, outcome, self._checked)
            return PENDING
        if outcome is Verdict.RIGHT:
            return None if self._gate.admit(self._exchange, self._user) else self._gate.ask()
        return _busy()

    def _checked(self, verdict: Verdict) -> None:
        exchange = self._exchange
        exchange.on_gone = None
        if verdict is Verdict.WRONG:
            self._refuse()
        elif verdict is Verdict.RIGHT:
            if self._gate.admit(exchange, self._user):
                exchange.proceed()
            else:
                exchange.respond(self._gate.ask())
        elif verdict is Verdict.BUSY:
            exchange.respond(_busy())
        else:
            exchange.respond(_login_closed())

    def _refuse(self) -> None:
        exchange = self._exchange
        services = self._gate.services
        # People type passwords into the field for the name: only names that exist are logged.
        who = repr(self._user) if self._user in self._file.entries else "a user that does not exist"
        services.log.warning(
            f"wrong password for {who} from {exchange.request.remote_address or exchange.request.socket}"
            f" at {exchange.request.path!r} ({self._file.path})"
        )
        delay = services.throttle.failed(self._source, services.clock.now())
        if not delay:
            exchange.respond(self._gate.ask())
            return

        def answer() -> None:
            exchange.on_gone = None
            exchange.respond(self._gate.ask())

        exchange.on_gone = exchange.call_later(delay, answer)


def _user_name(octets: bytes) -> str | None:
    # RFC 7617 section 2: no control characters; we asked for UTF-8.
    try:
        name = octets.decode()
    except UnicodeDecodeError:
        return None
    return name if name and not has_control(name) else None


def _busy() -> Response:
    return _wait(503, "Too many logins are being checked at the moment. Try again in a few seconds.", 5)


def _login_closed() -> Response:
    return _wait(
        503,
        "The login is closed at the moment: passwords cannot be checked."
        " The administrator finds the reason in the error log.",
        60,
    )


def _wait(status: int, text: str, seconds: int) -> Response:
    return error_response(status, text, [(b"Retry-After", b"%d" % seconds)])
