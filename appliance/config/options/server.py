"""The server as a whole: modules, identity, limits, what only its machinery would know."""

from __future__ import annotations

from appliance.config.options.option import Option, Type

_S, _I, _B, _L = Type.STRING, Type.INTEGER, Type.BOOLEAN, Type.STRINGS
_STRICT = "heads are always checked strictly and paths always normalised"
_LOOP = "one event loop with its own ways is built in"

TABLE = (
    Option("server.modules", _L, (), "Modules whose options may be used.", scope="server"),
    Option("server.username", _S, None, "User that the front and the applications run as.", scope="server"),
    Option("server.groupname", _S, None, "Group that the front and the applications run as.", scope="server"),
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
        "Directory that is / for the front: document roots, logs, password files and sockets are below it.",
        scope="server",
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
)
