"""The error log and the access log."""

from __future__ import annotations

from appliance.config.options.option import Option, Type

_S, _B = Type.STRING, Type.BOOLEAN
_COMBINED = '%h %V %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"'
_DEBUG = "fcgibox.error-log-level says how much is logged"

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

TABLE = (
    Option("server.errorlog", _S, None, "File of the error log; standard error if unset.", scope="server"),
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
        "server.errorlog-high-precision",
        _B,
        False,
        "Write fractions of seconds.",
        scope="server",
        without_effect="the error log counts seconds",
    ),
    Option("accesslog.filename", _S, None, "File of the access log.", "mod_accesslog"),
    Option(
        "accesslog.format",
        _S,
        _COMBINED,
        "What a line of the access log shows.",
        "mod_accesslog",
        without_effect="lines have the form of the default",
    ),
    Option(
        "accesslog.use-syslog", _B, False, "Send the access log to syslog.", "mod_accesslog", refused=(True,)
    ),
    Option(
        "fcgibox.error-log-level",
        _S,
        "info",
        "Least weight of an event that is logged.",
        scope="server",
        choices=("debug", "info", "notice", "warning", "error"),
    ),
    *_DEBUG_OPTIONS,
)
