"""The keys of a host entry of `fastcgi.server` and `scgi.server`: each once, with type, bounds and meaning.

They are those of lighttpd's gw_backend plus ours; what they become is said in `hosts`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from appliance.config.options import Type


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a host entry; `default` is None where leaving it out means something that no value says."""

    name: str
    type: Type
    meaning: str
    default: Any = None
    unit: str = ""
    minimum: int = 0
    maximum: int = 2**31 - 1
    choices: tuple[str, ...] = ()
    ours: bool = False  # a lighttpd passes over it


_S, _I, _B, _L, _P = Type.STRING, Type.INTEGER, Type.BOOLEAN, Type.STRINGS, Type.PAIRS
_SECONDS = "seconds"

KEYS = {
    key.name: key
    for key in (
        Key("host", _S, "Address of the application, or the path of its unix socket."),
        Key("port", _I, "TCP port of the application; 80 if it is 0.", 0, maximum=65535),
        Key("socket", _S, "Path of the application's unix socket."),
        Key("bin-path", _S, "Command that starts the application."),
        Key("bin-environment", _P, "Variables that the command gets."),
        Key("bin-copy-environment", _L, "Variables of ours that it gets; all if unset."),
        Key(
            "mode",
            _S,
            '"responder" answers requests, "authorizer" lets them pass.',
            "responder",
            choices=("responder", "authorizer"),
        ),
        Key("docroot", _S, "Document root as the application sees it."),
        Key("check-local", _B, "Whether the file must exist below the document root.", True),
        Key("min-procs", _I, "Processes that always run; max-procs if that is less.", 4, maximum=65535),
        Key("max-procs", _I, "Processes that may run.", 4, minimum=1, maximum=65535),
        Key("max-load-per-proc", _I, "Requests per process above which one more starts.", 1, maximum=65535),
        Key("idle-timeout", _I, "Time after which an unused process ends.", 60, _SECONDS, maximum=65535),
        Key("listen-backlog", _I, "Connections the kernel holds for a process.", 1024),
        Key("disable-time", _I, "Time until a host that failed is tried again.", 1, _SECONDS, maximum=65535),
        Key("broken-scriptfilename", _B, "Whether SCRIPT_FILENAME includes PATH_INFO.", False),
        Key("fix-root-scriptname", _B, 'Whether SCRIPT_NAME is empty under the key "/".', False),
        Key("strip-request-uri", _S, "Beginning of REQUEST_URI that is left out.", ""),
        Key("x-sendfile", _B, "Whether the application may name a file to be sent.", False),
        Key("allow-x-send-file", _B, "Older name of x-sendfile.", False),
        Key("x-sendfile-docroot", _L, "Directories that such a file must be in."),
        Key("kill-signal", _I, "Signal that ends a process.", 15, minimum=1, maximum=64),
        Key("connect-timeout", _I, "Time to wait for a connection; 0: no limit.", 8, _SECONDS, maximum=65535),
        Key(
            "write-timeout",
            _I,
            "Time to wait until the application reads; 0: no limit.",
            0,
            _SECONDS,
            maximum=65535,
        ),
        Key(
            "read-timeout",
            _I,
            "Time to wait until the application writes; 0: no limit.",
            0,
            _SECONDS,
            maximum=65535,
        ),
        Key("tcp-fin-propagate", _B, "Whether it hears of a client that is done sending.", False),
        Key("upgrade", _B, "Whether connections may become web sockets.", False),
        Key(
            "slots",
            _I,
            "Requests that one process answers at the same time; PHP_FCGI_CHILDREN, else any number.",
            minimum=1,
            maximum=65535,
            ours=True,
        ),
        Key(
            "template",
            _B,
            "Whether the command is started once and forks its processes warm.",
            False,
            ours=True,
        ),
        Key(
            "weight",
            _I,
            "Share of the requests that this host gets, compared with the others of its key.",
            1,
            minimum=1,
            maximum=1000,
            ours=True,
        ),
        Key(
            "resolve-interval",
            _I,
            "Time after which a host name is looked up again; 0: at start only.",
            30,
            _SECONDS,
            maximum=65535,
            ours=True,
        ),
        Key(
            "keep-connections",
            _I,
            "Idle connections that stay open to a host that we do not start.",
            0,
            maximum=65535,
            ours=True,
        ),
        Key(
            "check",
            _S,
            'What a host that we do not start is asked regularly: a path, or "values" (FCGI_GET_VALUES).',
            "",
            ours=True,
        ),
        Key(
            "check-interval",
            _I,
            "Time between two checks.",
            10,
            _SECONDS,
            minimum=1,
            maximum=65535,
            ours=True,
        ),
        Key(
            "waiting-page",
            _S,
            'What browsers see while a start takes long: "enable", or the path of a page of your own.',
            "",
            ours=True,
        ),
        Key("user", _S, "User that the processes run as; server.username if unset.", ours=True),
        Key(
            "group",
            _S,
            "Group that the processes run as; server.groupname if neither is set, else the user's.",
            ours=True,
        ),
        Key(
            "chroot",
            _S,
            "Directory that is / for the processes: bin-path is below it, and paths in requests are told so.",
            ours=True,
        ),
        Key("umask", _S, 'Permissions that files they make do not get, octal: "027".', ours=True),
        Key("nice", _I, "Their priority, from -20 (first) to 19 (last).", minimum=-20, maximum=19, ours=True),
        Key(
            "limits",
            Type.LIMITS,
            "Their resource limits by the names of limits.conf: nofile, as, cpu, nproc, core …",
            ours=True,
        ),
        Key("exclusive", _L, "Directories that only one running server may serve.", ours=True),
        Key("queue-length", _I, "Requests that may wait for a process.", 1000, maximum=1_000_000, ours=True),
        Key(
            "queue-timeout",
            _I,
            "Time that a request may wait for a process.",
            60,
            _SECONDS,
            minimum=1,
            maximum=65535,
            ours=True,
        ),
        Key("max-requests", _I, "Requests after which a process is replaced; 0: never.", 0, ours=True),
        Key(
            "max-memory",
            _I,
            "Memory (PSS, with its children) above which a process is replaced; 0: no limit.",
            0,
            "MiB",
            ours=True,
        ),
        Key("max-age", _I, "Age at which a process is replaced; 0: none.", 0, _SECONDS, ours=True),
        Key(
            "request-timeout",
            _I,
            "Time a request may take before the process that works on it is ended; 0: no limit.",
            0,
            _SECONDS,
            maximum=65535,
            ours=True,
        ),
        Key("restart-file", _S, "File whose change of time restarts the processes.", ours=True),
    )
}
"""Every key of a host entry by its name."""
