"""The keys of a host entry of `fastcgi.server` and `scgi.server`: each once, with type, bounds and meaning.

They are those of lighttpd's gw_backend plus ours; what they become is said in `hosts`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from appliance.config.options import Type


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a host entry."""

    name: str
    type: Type
    meaning: str
    minimum: int = 0
    maximum: int = 2**31 - 1
    refused: tuple[Any, ...] = ()
    without_effect: str = ""


_S, _I, _B, _L, _P = Type.STRING, Type.INTEGER, Type.BOOLEAN, Type.STRINGS, Type.PAIRS

KEYS = {
    key.name: key
    for key in (
        Key("host", _S, "Address of the application, or the path of its unix socket."),
        Key("port", _I, "TCP port of the application.", maximum=65535),
        Key("socket", _S, "Path of the application's unix socket."),
        Key("bin-path", _S, "Command that starts the application."),
        Key("bin-environment", _P, "Variables that the command gets."),
        Key("bin-copy-environment", _L, "Variables of ours that it gets; all if unset."),
        Key("mode", _S, '"responder" answers requests, "authorizer" lets them pass.'),
        Key("docroot", _S, "Document root as the application sees it."),
        Key("check-local", _B, "Whether the file must exist below the document root."),
        Key("min-procs", _I, "Processes that always run.", maximum=65535),
        Key("max-procs", _I, "Processes that may run.", minimum=1, maximum=65535),
        Key("max-load-per-proc", _I, "Requests per process above which one more starts.", maximum=65535),
        Key("idle-timeout", _I, "Seconds after which an unused process ends.", maximum=65535),
        Key("listen-backlog", _I, "Connections the kernel holds for a process."),
        Key("disable-time", _I, "Seconds until a host that failed is tried again.", maximum=65535),
        Key("broken-scriptfilename", _B, "Whether SCRIPT_FILENAME includes PATH_INFO."),
        Key("fix-root-scriptname", _B, 'Whether SCRIPT_NAME is empty under the key "/".'),
        Key("strip-request-uri", _S, "Beginning of REQUEST_URI that is left out."),
        Key("x-sendfile", _B, "Whether the application may name a file to be sent."),
        Key("allow-x-send-file", _B, "Older name of x-sendfile."),
        Key("x-sendfile-docroot", _L, "Directories that such a file must be in."),
        Key("kill-signal", _I, "Signal that ends a process.", minimum=1, maximum=64),
        Key("connect-timeout", _I, "Seconds to wait for a connection; 0: no limit.", maximum=65535),
        Key("write-timeout", _I, "Seconds to wait until the application reads; 0: no limit.", maximum=65535),
        Key("read-timeout", _I, "Seconds to wait until the application writes; 0: no limit.", maximum=65535),
        Key(
            "tcp-fin-propagate",
            _B,
            "Whether it hears of a client that is done sending.",
            without_effect="requests go out complete",
        ),
        Key("upgrade", _B, "Whether connections may become web sockets.", refused=(True,)),
        Key("slots", _I, "Requests that one process answers at the same time.", minimum=1, maximum=65535),
        Key("template", _B, "Whether the command is started once and forks its processes warm."),
        Key("user", _S, "User that the processes run as."),
        Key("group", _S, "Group that the processes run as."),
        Key("exclusive", _L, "Directories that only one running server may serve."),
        Key("queue-length", _I, "Requests that may wait for a process.", minimum=0, maximum=1_000_000),
        Key("queue-timeout", _I, "Seconds that a request may wait for a process.", minimum=1, maximum=65535),
    )
}
"""Every key of a host entry by its name."""
