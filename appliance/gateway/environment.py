"""The CGI environment of a request (RFC 3875 section 4.1), in lighttpd's order and with lighttpd's values.

Applications have been written against exactly this; a differential test holds it equal to a real lighttpd,
octet by octet. The rules that protect an application: `Proxy` never becomes HTTP_PROXY (httpoxy), hop-by-hop
framing is told as a true CONTENT_LENGTH only, and two different field names never share one variable.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from appliance.gateway.errors import RequestRefused
from appliance.gateway.records import PairPrefix, pair
from appliance.gateway.roots import Roots
from appliance.gateway.sendfile import simplified
from appliance.http.request import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appliance.config import PoolDefinition

Header = tuple[bytes, bytes]

_NAMES_KEPT = 512  # distinct spellings of field names remembered
_CONSTANTS_KEPT = 256  # distinct (method, version, scheme, address, host) remembered, and scripts
_ALPHANUMERIC = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_VARIABLE = bytes(octet if octet in _ALPHANUMERIC else 95 for octet in bytes(range(256)).upper())
_NEVER = {
    b"proxy",
    b"transfer-encoding",
    b"upgrade",
}  # "upgrade": we do not switch protocols behind the gateway


class Split(NamedTuple):
    """How a URL path divides into script and rest. A tuple, because one is made per request."""

    script_name: str
    path_info: str
    script_filename: str
    document_root: str
    path_translated: str  # meaningful only with a path_info


def _below(root: str, path: str) -> str:
    """`root` and `path` with exactly one slash between them."""
    return root.rstrip("/") + (path if path.startswith("/") else "/" + path)


def _split(
    definition: PoolDefinition, script_name: str, path_info: str, filename: str, document_root: str
) -> Split:
    if definition.docroot is not None:
        document_root = definition.docroot
        filename = _below(document_root, script_name)
    elif definition.broken_scriptfilename:
        filename += path_info
    return Split(
        script_name, path_info, filename, document_root, _below(document_root, path_info) if path_info else ""
    )


def split_prefix(definition: PoolDefinition, key: str, path: str, document_root: str) -> Split:
    """The division where no file is looked for (check-local = disable): at the first slash from `key`'s end.

    "/dir/" and /dir/x/y are /dir/x and /y. With fix-root-scriptname the key "/" leaves everything to
    PATH_INFO. A key that is a suffix, and an authorizer, leave the path whole.
    """
    script_name, path_info = path, ""
    if key.startswith("/") and definition.mode != "authorizer":
        if key == "/" and definition.fix_root_scriptname:
            script_name, path_info = "", path
        else:
            cut = path.find("/", len(key))
            if cut >= 0:
                script_name, path_info = path[:cut], path[cut:]
    return _split(definition, script_name, path_info, _below(document_root, script_name), document_root)


def split_match(definition: PoolDefinition, end: int, path: str, document_root: str) -> Split:
    """The division where a regular expression matched and no file is looked for: at the first slash from the
    match's end, or at the slash that the match ends with.

    "^/trac(/|$)" and /trac/x/y are /trac and /x/y; "^/" and /x/y are "" and /x/y.
    """
    if path[end - 1 : end] == "/":
        end -= 1
    cut = path.find("/", end) if definition.mode != "authorizer" else -1
    script_name, path_info = (path[:cut], path[cut:]) if cut >= 0 else (path, "")
    return _split(definition, script_name, path_info, _below(document_root, script_name), document_root)


def split_physical(
    definition: PoolDefinition, script_name: str, path_info: str, filename: str, document_root: str
) -> Split:
    """The division at the regular file that the path led to (check-local = enable)."""
    return _split(definition, script_name, path_info, filename, document_root)


class _Field:
    """What is known about one field name, whatever its case."""

    __slots__ = ("dropped", "odd", "prefix", "separator")

    def __init__(self, name: bytes) -> None:
        variable = b"CONTENT_TYPE" if name == b"content-type" else b"HTTP_" + name.translate(_VARIABLE)
        self.prefix = PairPrefix(variable)
        self.dropped = name in _NEVER
        self.odd = not name.replace(b"-", b"").isalnum()  # another name may lead to the same variable
        self.separator = b"; " if name == b"cookie" else b", "


class _Fields(dict[bytes, _Field]):
    """Field names as they were sent; spellings of one name share one `_Field`."""

    def __missing__(self, name: bytes) -> _Field:
        lower = name.lower()
        field = self.get(lower)
        if field is None:
            field = self[lower] = _Field(lower)
        self[name] = field
        return field


_CONTENT_LENGTH = PairPrefix(b"CONTENT_LENGTH")
_QUERY_STRING = PairPrefix(b"QUERY_STRING")
_REQUEST_URI = PairPrefix(b"REQUEST_URI")
_REDIRECT_URI = PairPrefix(b"REDIRECT_URI")
_REMOTE_ADDR = PairPrefix(b"REMOTE_ADDR")
_REMOTE_PORT = PairPrefix(b"REMOTE_PORT")
_REDIRECT_STATUS = pair(
    b"REDIRECT_STATUS", b"200"
)  # PHP built with --enable-force-cgi-redirect insists on it
_NO_CONTENT = pair(b"CONTENT_LENGTH", b"0")


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


_LONGEST_REMEMBERED = 1024  # octets; longer targets do not come again
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")
_authority = re.compile(rb"[^/?#]*://[^/?#]*").match
_escape = re.compile(rb"%([0-9A-Fa-f]{2})|[^!$&'()*+,\-./0-9:;=@A-Z_a-z~]").sub


def _absolute(target: bytes) -> bytes:
    """The path and query of an absolute-form target."""
    matched = _authority(target)
    target = target[matched.end() :] if matched else target
    return target if target.startswith(b"/") else b"/" + target


def _escaped(matched: re.Match[bytes]) -> bytes:
    octet = int(matched[1], 16) if matched[1] else matched[0][0]
    return bytes((octet,)) if matched[1] and octet in _UNRESERVED else b"%%%02X" % octet


def _redirected(target: bytes) -> bytes:
    """What lighttpd tells as REDIRECT_URI, if it is not what the client sent: a target in its normal form.

    The path is normalised without decoding what is reserved; the query stays as it was sent.
    """
    path, question, query = target.partition(b"#")[0].partition(b"?")
    normal = simplified(_escape(_escaped, path).decode("ascii")).encode("ascii") if path != b"*" else path
    return normal + question + query


_remembered = lru_cache(maxsize=1024)(_redirected)


class Parameters:
    """Encodes the parameters of every request to one pool in one scope of the configuration.

    `server_software` is `server.tag`, `server_name` is `server.name` ("" if unset: the Host of the request).
    """

    __slots__ = (
        "_authorizer",
        "_constants",
        "_fields",
        "_roots",
        "_scripts",
        "_server_name",
        "_software",
        "_strip",
    )

    def __init__(
        self,
        definition: PoolDefinition,
        server_software: str,
        server_name: str = "",
        roots: Roots | None = None,
    ) -> None:
        # What `docroot` says is the application's view already.
        self._roots = roots if definition.docroot is None else None
        # SCGI has no roles: there an authorizer sees what a responder of a request without a body sees.
        self._authorizer = definition.mode == "authorizer" and definition.protocol == "fastcgi"
        self._strip = _octets(definition.strip_request_uri.rstrip("/"))
        self._software = _octets(server_software)
        self._server_name = server_name
        self._fields = _Fields()
        self._constants: dict[tuple[object, ...], bytes] = {}
        self._scripts: dict[Split, bytes] = {}

    def encode(
        self, request: Request, split: Split, environment: Mapping[str, str], content_length: int
    ) -> bytes:
        """The name-value pairs of this request; `content_length` is the real length of the body in octets.

        `environment` is the server environment (REMOTE_USER …). Raises RequestRefused(400) when two field
        names would become one variable.
        """
        target, query = request.target, _octets(request.query)
        headers = request.headers
        if target[:1] != b"/" and target != b"*":
            # The absolute form: its authority replaces Host (RFC 9112 section 3.2.2), also for the
            # application.
            target = _absolute(target)
            host = _octets(request.authority)
            headers = [(b"Host", host), *(header for header in headers if header[0].lower() != b"host")]
        if self._strip and target.startswith(self._strip + b"/"):
            target = target[len(self._strip) :]
        parts: list[bytes] = []
        if not self._authorizer:
            if content_length:
                length = b"%d" % content_length
                parts += (_CONTENT_LENGTH[len(length)], length)
            else:
                parts.append(_NO_CONTENT)
        parts += (_QUERY_STRING[len(query)], query, _REQUEST_URI[len(target)], target)
        last = target if request.rewritten is None else request.rewritten.target
        redirect = _remembered(last) if len(last) <= _LONGEST_REMEMBERED else _redirected(last)
        if redirect != target:
            parts += (_REDIRECT_URI[len(redirect)], redirect)
        if "REDIRECT_STATUS" not in environment:  # an error handler brings its own
            parts.append(_REDIRECT_STATUS)
        parts.append(self._scripts.get(split) or self._remember_script(split))
        key = (
            request.host,
            request.method,
            request.version,
            request.scheme,
            request.local_address,
            request.local_port,
        )
        parts.append(self._constants.get(key) or self._remember(key, request))
        text = request.remote_address.encode()
        parts += (_REMOTE_ADDR[len(text)], text)
        text = b"%d" % request.remote_port
        parts += (_REMOTE_PORT[len(text)], text)
        fields = self._fields
        if len(fields) > _NAMES_KEPT:  # only here: within one request a name must stay one object
            fields.clear()
        mark = len(parts)
        seen = []
        odd = False
        for name, value in headers:
            field = fields[name]
            if value and not field.dropped:
                seen.append(field)
                odd = odd or field.odd
                parts += (field.prefix[len(value)], value)
        if odd or len(set(seen)) < len(seen):
            del parts[mark:]
            parts += self._joined(headers)
        for key_text, value_text in environment.items():
            parts.append(pair(_octets(key_text).translate(_VARIABLE), _octets(value_text)))
        return b"".join(parts)

    def _remember_script(self, split: Split) -> bytes:
        """SCRIPT_NAME to DOCUMENT_ROOT."""
        key, pairs = split, []
        if self._roots is not None:
            name = self._roots.to_application
            split = split._replace(
                script_filename=name(split.script_filename),
                document_root=name(split.document_root),
                path_translated=name(split.path_translated),
            )
        if not self._authorizer:
            pairs.append((b"SCRIPT_NAME", split.script_name))
            if split.path_info:
                pairs += [(b"PATH_INFO", split.path_info), (b"PATH_TRANSLATED", split.path_translated)]
        pairs += [(b"SCRIPT_FILENAME", split.script_filename), (b"DOCUMENT_ROOT", split.document_root)]
        if len(self._scripts) >= _CONSTANTS_KEPT:
            self._scripts.clear()
        encoded = self._scripts[key] = b"".join(pair(name, _octets(text)) for name, text in pairs)
        return encoded

    def _remember(self, key: tuple[object, ...], request: Request) -> bytes:
        """REQUEST_METHOD to SERVER_NAME: the same for most requests."""
        pairs = [
            (b"REQUEST_METHOD", request.method.encode()),
            (b"SERVER_PROTOCOL", request.version.encode()),
            (b"SERVER_SOFTWARE", self._software),
            (b"GATEWAY_INTERFACE", b"CGI/1.1"),
            (b"REQUEST_SCHEME", request.scheme.encode()),
        ]
        if request.scheme == "https":
            pairs.append((b"HTTPS", b"on"))
        name = self._server_name or request.host or request.local_address
        pairs += [
            (b"SERVER_PORT", b"%d" % request.local_port),
            (b"SERVER_ADDR", request.local_address.encode()),
            (b"SERVER_NAME", _octets(name)),
        ]
        if len(self._constants) >= _CONSTANTS_KEPT:
            self._constants.clear()
        encoded = self._constants[key] = b"".join(pair(name, value) for name, value in pairs)
        return encoded

    def _joined(self, headers: list[Header]) -> list[bytes]:
        """The header variables when names repeat (joined at the first) or may collide (refused)."""
        values: dict[_Field, bytes] = {}
        for name, value in headers:
            field = self._fields[name]
            if value and not field.dropped:
                values[field] = values[field] + field.separator + value if field in values else value
        variables: set[bytes] = set()
        parts: list[bytes] = []
        for field, value in values.items():
            variable = field.prefix.name
            if variable in variables:
                raise RequestRefused(
                    400,
                    f"two different header fields would both become {variable.decode('ascii')}",
                )
            variables.add(variable)
            parts += (field.prefix[len(value)], value)
        return parts
