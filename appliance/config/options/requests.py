"""How requests are received and answered, whatever answers them."""

from __future__ import annotations

from appliance import __version__
from appliance.config.options.option import Option, Type

_S, _I, _B, _P = Type.STRING, Type.INTEGER, Type.BOOLEAN, Type.PAIRS

TABLE = (
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
    Option("server.protocol-http11", _B, True, "Speak HTTP/1.1.", refused=(False,)),
    Option(
        "url.redirect",
        Type.URL_RULES,
        (),
        "Where to send clients whose path and query match an expression.",
        "mod_redirect",
    ),
    Option("url.redirect-code", _I, 301, "Status of a redirect.", "mod_redirect", minimum=300, maximum=399),
    Option(
        "url.rewrite-once",
        Type.URL_RULES,
        (),
        "What path and query become, inside of the server; the first expression that fits decides.",
        "mod_rewrite",
    ),
    Option(
        "url.rewrite-repeat",
        Type.URL_RULES,
        (),
        "The same, and the outcome is looked at again, at most a hundred times.",
        "mod_rewrite",
    ),
    Option(
        "url.rewrite-if-not-file",
        Type.URL_RULES,
        (),
        "What path and query become where the path is not that of a regular file.",
        "mod_rewrite",
    ),
    Option(
        "url.rewrite-repeat-if-not-file",
        Type.URL_RULES,
        (),
        "The same, and the outcome is looked at again, at most a hundred times.",
        "mod_rewrite",
    ),
    Option("url.rewrite", Type.URL_RULES, (), "Older name of url.rewrite-once.", "mod_rewrite"),
    Option("url.rewrite-final", Type.URL_RULES, (), "Older name of url.rewrite-once.", "mod_rewrite"),
    Option("setenv.add-environment", _P, (), "Variables that applications get.", "mod_setenv"),
    Option("setenv.add-response-header", _P, (), "Header fields that answers get.", "mod_setenv"),
    Option(
        "setenv.set-response-header",
        _P,
        (),
        "Header fields of answers that are replaced; removed if empty.",
        "mod_setenv",
    ),
)
