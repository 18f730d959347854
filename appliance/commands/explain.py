"""`fcgibox explain CONFIG METHOD URL`: what a configuration does with a request, without serving it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from docopt import docopt

from appliance.config import Configuration, ConfigurationError, load_file
from appliance.config.condition import FIELDS, Condition
from appliance.config.matcher import Block
from appliance.errors import UserError

USAGE = """Say what a configuration does with a request: which blocks hold, who answers, and
what an application gets.

Usage:
  fcgibox explain [options] [--header LINE]... CONFIG METHOD URL
  fcgibox explain -h | --help

Options:
  --header LINE   a field of the request: "Cookie: a=1"
  --from ADDRESS  the client's address [default: 127.0.0.1]
  --allow-shell   run the commands of include_shell lines

URL is a path, or http://host/path. No application is started or asked, no password is checked. Files are
looked up as they are, with your rights.

Example:
  fcgibox explain lighttpd.conf GET http://www.example.org/index.php?a=1
"""

_OPERATORS = {"equal": ("==", "!="), "prefix": ("=^", "!^"), "suffix": ("=$", "!$"), "pattern": ("=~", "!~")}


def run(argv: list[str]) -> int:
    """Explain one request; the exit status is 1 if the configuration cannot be served."""
    options = docopt(USAGE, argv=argv)
    path = str(options["CONFIG"])
    try:
        configuration = load_file(path, allow_shell=bool(options["--allow-shell"]))
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 1
    head = _head(options["METHOD"], options["URL"], options["--header"])
    for line in _told(configuration, head, options["--from"]):
        print(line.encode("utf-8", "backslashreplace").decode())
    return 0


def _head(method: str, url: str, fields: list[str]) -> bytes:
    """The head of a request, as a client would write it."""
    target, host = url, "localhost"
    if url.lower().startswith(("http://", "https://")):
        host, slash, rest = url.partition("://")[2].partition("/")
        target = slash + rest or "/"
    lines = [f"{method.upper()} {target} HTTP/1.1", f"Host: {host}", *fields, "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def _told(configuration: Configuration, head: bytes, address: str) -> Iterator[str]:
    # Only here: the handlers need the front's modules, and no other command does.
    from appliance.front.rehearsal import Rehearsal
    from appliance.http.head import BadRequest, find_head, parse_head
    from appliance.http.request import Endpoint

    listener = configuration.listeners()[0]
    local = listener.name if not listener.name.startswith("unix:") else "127.0.0.1:80"
    host, _, port = local.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host.strip("[]"), host.strip("[]"))
    endpoint = Endpoint("http", listener.name, address, 40000, host, int(port))
    try:
        request = parse_head(head[: find_head(head, len(head))], endpoint)
    except BadRequest as bad:
        raise UserError(f"the server refuses this request with {bad.status}: {bad.reason}") from None
    matcher = configuration.matcher()
    yield f"{request.method} {request.path} on host {request.host or '(none)'}"
    yield from _blocks(matcher.holding(request))
    rehearsal = Rehearsal(configuration, request)
    for step in rehearsal.walk():
        if step.text:
            yield f"  {step.handler or 'end':16}  {step.text}"
            if step.handler == "rewrite":
                yield from _blocks(matcher.holding(request))
        if step.response is not None:
            fields = [
                f"{name.decode('latin-1')}: {value.decode('latin-1')}"
                for name, value in step.response.headers
            ]
            yield f"  {step.handler or 'end':16}  answers with {step.response.status}"
            yield from (f"{'':20}{field}" for field in fields)
            step.response.discard()
        if step.asked is not None:
            definition = step.asked.definition
            place = (
                f"unix:{definition.socket}" if definition.socket else f"{definition.host}:{definition.port}"
            )
            yield f"  {step.handler:16}  pool {definition.name}, {definition.protocol} at {place}, gets"
            for name, value in step.asked.parameters:
                yield f"{'':20}{name.decode('latin-1')}={value.decode('utf-8', 'backslashreplace')}"
    yield from (f"  the log says      {text}" for text in rehearsal.said)


def _blocks(blocks: tuple[Block, ...]) -> Iterator[str]:
    conditions = [_condition(block.condition) for block in blocks if block.condition is not None]
    yield f"  blocks that hold  {conditions[0] if conditions else 'none but the outermost'}"
    yield from (f"{'':20}{text}" for text in conditions[1:])


def _condition(condition: Condition) -> str:
    test = condition.test
    name = next((key for key, field in FIELDS.items() if field == test.field), "")
    subject = f'$HTTP["{name}"]'
    if test.field == "socket":
        subject = '$SERVER["socket"]'
    elif not name:
        subject = f'$REQUEST_HEADER["{test.field.partition(":")[2]}"]'
    operator = _OPERATORS.get(test.kind, ("==", "!="))[condition.negated]
    value = test.value if isinstance(test.value, str) else getattr(test.value, "pattern", test.value)
    return f'{subject} {operator} "{value}"'
