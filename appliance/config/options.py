"""The table of options: everything a configuration may set, each option once, with what it means.

From it come validation, defaults and "did you mean". Names, types and defaults are lighttpd's (1.4.69),
except for those that begin with `fcgibox.`, which a lighttpd warns about and passes over. An option that
cannot matter here has its reason in `without_effect`; one that another answer would depend on, but that is
not implemented, accepts only the value that means what happens here anyway.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from appliance import __version__


class Type(enum.Enum):
    """What an option takes; the value is how a message calls it."""

    STRING = 'a string: "…"'
    INTEGER = "a number"
    BOOLEAN = '"enable" or "disable"'
    STRINGS = 'a list of strings: ( "…", "…" )'
    PAIRS = 'a list of pairs of strings: ( "…" => "…", "…" => "…" )'
    SWITCHES = 'a list of switches: ( "…" => "enable" )'
    GATEWAY = 'hosts for each key: ( "/prefix" => (( "socket" => "…" )) )'
    AUTHENTICATION = (
        'rules for each prefix: ( "/prefix" => ( "method" => "basic", "realm" => "…", "require" => "…" ) )'
    )


Scope: TypeAlias = Literal["server", "socket", "request"]


@dataclass(frozen=True, slots=True)
class Option:
    """One option; `scope` says whether it stands outside of blocks, also under a socket, or anywhere."""

    name: str
    type: Type
    default: Any
    meaning: str
    module: str = ""  # the module of server.modules that it belongs to; "" for the core
    scope: Scope = "request"
    unit: str = ""
    minimum: int = 0
    maximum: int = 2**31 - 1
    choices: tuple[str, ...] = ()
    refused: tuple[Any, ...] = ()  # values that are not supported yet
    without_effect: str = ""  # why setting it changes nothing here

    @property
    def ours(self) -> bool:
        """Whether it is an option of fcgibox alone."""
        return self.name.startswith("fcgibox.")


_S, _I, _B, _L, _P = Type.STRING, Type.INTEGER, Type.BOOLEAN, Type.STRINGS, Type.PAIRS
_COMBINED = '%h %V %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"'
_STRICT = "heads are always checked strictly and paths always normalised"
_DEBUG = "fcgibox.error-log-level says how much is logged"
_LOOP = "one event loop with its own ways is built in"

_TABLE = (
    # The server as a whole
    Option("server.modules", _L, (), "Modules whose options may be used.", scope="server"),
    Option("server.port", _I, 80, "TCP port to listen on.", scope="server", minimum=1, maximum=65535),
    Option(
        "server.bind",
        _S,
        "",
        'Address to listen on: IP address, host name, or "/path" of a unix socket; all IPv4 ones if empty.',
        scope="server",
    ),
    Option(
        "server.listen-backlog",
        _I,
        1024,
        "Connections the kernel holds until they are accepted.",
        scope="socket",
        minimum=1,
    ),
    Option("server.username", _S, None, "User that the front and the applications run as.", scope="server"),
    Option("server.groupname", _S, None, "Group that the front and the applications run as.", scope="server"),
    Option("server.errorlog", _S, None, "File of the error log; standard error if unset.", scope="server"),
    Option(
        "server.pid-file",
        _S,
        None,
        "File that holds the process number while the server runs.",
        scope="server",
    ),
    Option(
        "server.upload-dirs",
        _L,
        ("/var/tmp",),
        "Directories for request bodies that are too large for memory.",
        scope="server",
    ),
    Option(
        "server.max-connections",
        _I,
        0,
        "Connections of clients at the same time; 0: derived from the limit of descriptors.",
        scope="server",
    ),
    Option(
        "server.max-fds", _I, 0, "Limit of open descriptors; 0: as many as the system allows.", scope="server"
    ),
    Option(
        "server.max-request-field-size",
        _I,
        8192,
        "Size of a request's head above which it is refused with 431.",
        scope="server",
        unit="bytes",
        minimum=256,
        maximum=1 << 20,
    ),
    Option(
        "server.max-worker",
        _I,
        0,
        "Fronts beside each other.",
        scope="server",
        without_effect="there is one front",
    ),
    Option(
        "server.chroot",
        _S,
        None,
        "Directory that becomes the root of the file system.",
        scope="server",
        refused=("*",),
    ),
    Option(
        "server.errorlog-use-syslog",
        _B,
        False,
        "Send the error log to syslog.",
        scope="server",
        refused=(True,),
    ),
    Option(
        "server.breakagelog",
        _S,
        None,
        "File for what applications write to standard error.",
        scope="server",
        without_effect="it goes to the error log",
    ),
    Option(
        "server.syslog-facility",
        _S,
        None,
        "Facility of messages to syslog.",
        scope="server",
        without_effect="logs are files",
    ),
    Option(
        "server.core-files",
        _B,
        False,
        "Write core files.",
        scope="server",
        without_effect="the system's limit decides",
    ),
    Option("server.event-handler", _S, None, "Way to wait for events.", scope="server", without_effect=_LOOP),
    Option(
        "server.network-backend",
        _S,
        None,
        "System call that sends files.",
        scope="server",
        without_effect=_LOOP,
    ),
    Option(
        "server.stat-cache-engine",
        _S,
        None,
        "Way to notice changed files.",
        scope="server",
        without_effect=_LOOP,
    ),
    Option(
        "server.chunkqueue-chunk-sz",
        _I,
        None,
        "Size of a piece of memory.",
        scope="server",
        without_effect=_LOOP,
    ),
    Option(
        "server.upload-temp-file-size",
        _I,
        None,
        "Size of a temporary file.",
        scope="server",
        without_effect=_LOOP,
    ),
    Option(
        "server.compat-module-load",
        _B,
        True,
        "Load the modules every server had once.",
        scope="server",
        without_effect="mod_indexfile, mod_dirlisting and mod_staticfile are always there",
    ),
    Option(
        "server.systemd-socket-activation",
        _B,
        False,
        "Take sockets from systemd.",
        scope="server",
        refused=(True,),
    ),
    Option(
        "server.http-parseopts",
        Type.SWITCHES,
        (),
        "How strictly requests are read.",
        scope="server",
        without_effect=_STRICT,
    ),
    Option(
        "server.feature-flags",
        Type.SWITCHES,
        (),
        "Switches of lighttpd's own.",
        scope="server",
        without_effect="they switch what only lighttpd has",
    ),
    Option(
        "server.errorlog-high-precision",
        _B,
        False,
        "Write fractions of seconds.",
        scope="server",
        without_effect="the error log counts seconds",
    ),
    Option(
        "server.socket-perms",
        _S,
        None,
        "Permissions of a unix socket, octal.",
        scope="socket",
        refused=("*",),
    ),
    Option("server.use-ipv6", _B, False, "Listen on all IPv6 addresses.", scope="socket", refused=(True,)),
    Option("server.set-v6only", _B, True, "Keep IPv4 out of IPv6 sockets.", scope="socket", refused=(False,)),
    Option(
        "server.v4mapped",
        _B,
        False,
        "See IPv4 clients of an IPv6 socket as IPv4.",
        scope="socket",
        without_effect="they always are",
    ),
    Option(
        "server.defer-accept",
        _I,
        0,
        "Let the kernel wait for data before a connection is accepted.",
        scope="socket",
        without_effect=_LOOP,
    ),
    Option(
        "server.bsd-accept-filter",
        _S,
        None,
        "Let a BSD kernel wait for data.",
        scope="socket",
        without_effect="this is Linux",
    ),
    # Requests
    Option("server.document-root", _S, None, "Directory that URLs are looked up in."),
    Option(
        "server.name",
        _S,
        None,
        "Name of the server, for applications and links; what the client asked for if unset.",
    ),
    Option("server.tag", _S, f"fcgibox/{__version__}", "Value of the header field Server; none if empty."),
    Option(
        "server.max-request-size",
        _I,
        0,
        "Size of a request's body above which it is refused with 413; 0: any.",
        unit="KiB",
    ),
    Option(
        "server.max-keep-alive-requests",
        _I,
        1000,
        "Requests on one connection; 0: a new connection for each.",
    ),
    Option(
        "server.max-keep-alive-idle",
        _I,
        5,
        "Time that a connection may wait for its next request.",
        unit="seconds",
        maximum=65535,
    ),
    Option(
        "server.max-read-idle",
        _I,
        60,
        "Time without a byte after which a request that is being received ends.",
        unit="seconds",
        maximum=65535,
    ),
    Option(
        "server.max-write-idle",
        _I,
        360,
        "Time without progress after which an answer that is being sent ends.",
        unit="seconds",
        maximum=65535,
    ),
    Option("server.follow-symlink", _B, True, "Serve what symbolic links lead to."),
    Option("server.range-requests", _B, True, "Answer requests for parts of a file."),
    Option(
        "server.stream-request-body",
        _I,
        0,
        "0: an application gets a body when it is complete; 1, 2: as it arrives.",
        maximum=2,
        without_effect="an application is asked when the whole body is here",
    ),
    Option(
        "server.stream-response-body",
        _I,
        0,
        "0: the answer is held and checked; 1: sent as it comes; 2: and no faster than the client reads.",
        maximum=2,
    ),
    Option("server.error-handler", _S, None, "URL that answers instead of an error.", refused=("*",)),
    Option("server.error-handler-404", _S, None, "URL that answers instead of 404.", refused=("*",)),
    Option("server.errorfile-prefix", _S, None, "Beginning of the names of error pages.", refused=("*",)),
    Option("server.error-intercept", _B, False, "Replace the error pages of applications.", refused=(True,)),
    Option(
        "server.kbytes-per-second",
        _I,
        0,
        "Speed limit of all connections together.",
        unit="KiB/s",
        refused=("*",),
    ),
    Option(
        "connection.kbytes-per-second", _I, 0, "Speed limit of a connection.", unit="KiB/s", refused=("*",)
    ),
    Option("server.force-lowercase-filenames", _B, False, "Look names up in lower case.", refused=(True,)),
    Option("server.protocol-http11", _B, True, "Speak HTTP/1.1.", refused=(False,)),
    Option(
        "index-file.names",
        _L,
        (),
        "Files that answer for their directory, the first that exists.",
        "mod_indexfile",
    ),
    Option("server.indexfiles", _L, (), "Older name of index-file.names.", "mod_indexfile", refused=("*",)),
    Option("mimetype.assign", _P, (), "Content type by the end of a file's name."),
    Option("mimetype.use-xattr", _B, False, "Take content types from the file system.", refused=(True,)),
    Option("etag.use-inode", _B, True, "Let a file's inode be part of its ETag."),
    Option("etag.use-mtime", _B, True, "Let a file's time be part of its ETag."),
    Option("etag.use-size", _B, True, "Let a file's size be part of its ETag."),
    Option("static-file.etags", _B, True, "Send an ETag with files.", "mod_staticfile"),
    Option(
        "static-file.disable-pathinfo",
        _B,
        False,
        "Answer 404 to a path that goes on after a file's name.",
        "mod_staticfile",
    ),
    Option(
        "static-file.exclude-extensions",
        _L,
        (),
        "Ends of names that are never sent as files: sources of programs.",
        "mod_staticfile",
    ),
    Option("dir-listing.activate", _B, False, "List directories.", "mod_dirlisting", refused=(True,)),
    Option(
        "server.dir-listing",
        _B,
        False,
        "Older name of dir-listing.activate.",
        "mod_dirlisting",
        refused=(True,),
    ),
    Option("url.access-deny", _L, (), "Ends of paths that are refused with 403.", "mod_access"),
    Option(
        "alias.url", _P, (), "Files for paths that begin with a prefix, the first that fits.", "mod_alias"
    ),
    Option(
        "url.redirect",
        _P,
        (),
        "Where to send clients whose path and query match an expression.",
        "mod_redirect",
    ),
    Option("url.redirect-code", _I, 301, "Status of a redirect.", "mod_redirect", minimum=300, maximum=399),
    # Who may come in
    Option("auth.backend", _S, None, "Kind of password file.", "mod_auth", choices=("htpasswd", "plain")),
    Option("auth.backend.htpasswd.userfile", _S, None, "Password file with hashes.", "mod_authn_file"),
    Option("auth.backend.plain.userfile", _S, None, "Password file with plain passwords.", "mod_authn_file"),
    Option(
        "auth.require",
        Type.AUTHENTICATION,
        (),
        "Who may see what lies below a prefix of the path.",
        "mod_auth",
    ),
    # Logs, headers, environment
    Option("accesslog.filename", _S, None, "File of the access log.", "mod_accesslog"),
    Option("accesslog.format", _S, _COMBINED, "What a line of the access log shows.", "mod_accesslog"),
    Option(
        "accesslog.use-syslog", _B, False, "Send the access log to syslog.", "mod_accesslog", refused=(True,)
    ),
    Option("setenv.add-environment", _P, (), "Variables that applications get.", "mod_setenv"),
    Option("setenv.add-response-header", _P, (), "Header fields that answers get.", "mod_setenv"),
    Option(
        "setenv.set-response-header",
        _P,
        (),
        "Header fields of answers that are replaced; removed if empty.",
        "mod_setenv",
    ),
    # Gateways
    Option(
        "fastcgi.server",
        Type.GATEWAY,
        (),
        "Applications that speak FastCGI, by prefix or end of the path.",
        "mod_fastcgi",
    ),
    Option(
        "fastcgi.map-extensions",
        _P,
        (),
        "Ends of paths that count as another key of fastcgi.server.",
        "mod_fastcgi",
    ),
    Option(
        "fastcgi.balance",
        _S,
        "least-connection",
        "Which of several hosts gets a request.",
        "mod_fastcgi",
        choices=("least-connection", "fair", "round-robin", "hash", "sticky"),
    ),
    Option(
        "fastcgi.debug",
        _I,
        0,
        "How much the module logs.",
        "mod_fastcgi",
        maximum=65535,
        without_effect=_DEBUG,
    ),
    Option(
        "scgi.server",
        Type.GATEWAY,
        (),
        "Applications that speak SCGI, by prefix or end of the path.",
        "mod_scgi",
    ),
    Option(
        "scgi.map-extensions", _P, (), "Ends of paths that count as another key of scgi.server.", "mod_scgi"
    ),
    Option(
        "scgi.balance",
        _S,
        "least-connection",
        "Which of several hosts gets a request.",
        "mod_scgi",
        choices=("least-connection", "fair", "round-robin", "hash", "sticky"),
    ),
    Option(
        "scgi.debug", _I, 0, "How much the module logs.", "mod_scgi", maximum=65535, without_effect=_DEBUG
    ),
    # Ours
    Option(
        "fcgibox.dot-files",
        _S,
        "allow",
        "Whether files whose name begins with a dot are served; /.well-known/ always is.",
        choices=("allow", "deny"),
    ),
    Option(
        "fcgibox.error-log-level",
        _S,
        "info",
        "Least weight of an event that is logged.",
        scope="server",
        choices=("debug", "info", "notice", "warning", "error"),
    ),
)

_DEBUG_OPTIONS = tuple(
    Option(f"debug.{name}", _B, False, "Log more of what happens.", without_effect=_DEBUG)
    for name in (
        "log-condition-handling",
        "log-file-not-found",
        "log-request-handling",
        "log-request-header",
        "log-request-header-on-error",
        "log-response-header",
        "log-state-handling",
        "log-timeouts",
    )
)

OPTIONS = {option.name: option for option in (*_TABLE, *_DEBUG_OPTIONS)}
"""Every option by its name."""

DEFAULTS = {option.name: option.default for option in OPTIONS.values()}

ALWAYS_LOADED = frozenset({"mod_indexfile", "mod_dirlisting", "mod_staticfile"})
"""Modules that need not be listed, as in lighttpd."""

MODULES = frozenset(option.module for option in OPTIONS.values() if option.module)
"""Modules that are built in."""
