"""The configuration language: lighttpd.conf, read once, checked completely, evaluated per request.

`load` turns text into a `Configuration` or raises `ConfigurationError` with every reason at once. Text
becomes tokens (`lexer`), tokens statements (`grammar`), statements scopes with values (`evaluation`),
values are checked against the one table of options (`options`, `validation`), and `matcher` says which of
them apply to a request.
"""

from appliance.config.configuration import Configuration, load, load_file
from appliance.config.diagnostic import ConfigurationError, Diagnostic, Position
from appliance.config.listener import Listener
from appliance.config.matcher import Matcher, Subject
from appliance.config.options import OPTIONS, Option
from appliance.config.pools import AuthRule, GatewayRule, PoolDefinition
from appliance.config.settings import Settings

__all__ = [
    "OPTIONS",
    "AuthRule",
    "Configuration",
    "ConfigurationError",
    "Diagnostic",
    "GatewayRule",
    "Listener",
    "Matcher",
    "Option",
    "PoolDefinition",
    "Position",
    "Settings",
    "Subject",
    "load",
    "load_file",
]
