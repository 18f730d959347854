"""The sockets that the server listens on."""

from __future__ import annotations

from appliance.config.options.option import Option, Type

_S, _I, _B = Type.STRING, Type.INTEGER, Type.BOOLEAN
_LOOP = "one event loop with its own ways is built in"

TABLE = (
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
    Option(
        "server.systemd-socket-activation",
        _B,
        False,
        "Take sockets from systemd.",
        scope="server",
        refused=(True,),
    ),
    Option(
        "server.socket-perms",
        _S,
        None,
        'Permissions of a unix socket, octal: "0660"; who may write may connect. By the umask if unset.',
        scope="socket",
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
)
