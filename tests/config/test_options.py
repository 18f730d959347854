"""The option table: every option can be set to its kind of value, and refuses every other."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.config import OPTIONS, ConfigurationError, Option, load
from appliance.config.foreign import FOREIGN_MODULES, FOREIGN_OPTIONS
from appliance.config.options import MODULES, Type

# For each type a value that it takes, and what is none.
RIGHT = {
    Type.STRING: '"/x"',
    Type.INTEGER: "1",
    Type.BOOLEAN: '"enable"',
    Type.STRINGS: '( "/x" )',
    Type.PAIRS: '( "/x" => "/y" )',
    Type.URL_RULES: '( "^/x" => "/y" )',
    Type.SWITCHES: '( "x" => "enable" )',
    Type.GATEWAY: '( "/x" => (( "socket" => "/run/x" )) )',
    Type.AUTHENTICATION: '( "/x" => ( "method" => "basic", "realm" => "r", "require" => "valid-user" ) )',
}
WRONG = {
    Type.STRING: ("1", "()"),
    Type.INTEGER: ('"x"', "()", '"99999999999"'),
    Type.BOOLEAN: ('"on"', "()"),
    Type.STRINGS: ('"x"', "( 1 )", '( "a" => "b" )', "( () )"),
    Type.PAIRS: ('"x"', '( "a" )', '( "a" => 1 )', '( "a" => () )'),
    Type.URL_RULES: ('"x"', '( "a" )', '( "a" => 1 )', '( "(" => "/a" )'),
    Type.SWITCHES: ('"x"', '( "a" )', '( "a" => () )'),
    Type.GATEWAY: ('"x"', '( "a" )', '( "a" => "b" )', '( "a" => ( "b" ) )', '( "a" => () )', '( "" => () )'),
    Type.AUTHENTICATION: ('"x"', '( "a" )', '( "a" => "b" )', '( "a" => () )'),
}
ALL = 'server.modules = ( "' + '", "'.join(sorted(MODULES)) + '" )\n'


def errors(text: str) -> list[str]:
    """The reasons why a text is refused; none if it is accepted."""
    try:
        load(text, "t")
    except ConfigurationError as error:
        return [diagnostic.reason for diagnostic in error.diagnostics]
    return []


def acceptable(option: Option) -> str:
    """A value that the option takes, as text."""
    if option.name == "server.socket-perms":
        return '"0660"'
    if option.name == "server.chroot":
        return '"/"'
    if option.choices:
        return f'"{option.choices[0]}"'
    if "*" in option.refused or option.refused:
        default: Any = option.default
        if isinstance(default, bool):
            return '"enable"' if default else '"disable"'
        if isinstance(default, int):
            return str(default)
        return "()" if default == () else '""'
    if option.type is Type.INTEGER:
        return str(min(max(1, option.minimum), option.maximum))
    return RIGHT[option.type]


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.name)
def test_every_option_takes_its_type_and_no_other(option: Option) -> None:
    backend = (
        'auth.backend = "plain" auth.backend.plain.userfile = "/x"\n' if option.name == "auth.require" else ""
    )
    if option.name.endswith(".map-extensions"):
        server = option.name.replace("map-extensions", "server")
        backend = f'{server} = ( "/y" => (( "socket" => "/x" )) )\n'
    modules = "" if option.name == "server.modules" else ALL
    value = '( "mod_alias" )' if option.name == "server.modules" else acceptable(option)
    if option.name.startswith("setenv."):
        value = '( "X-Y" => "z" )'
    assert errors(f"{modules}{backend}{option.name} = {value}") == []
    for wrong in WRONG[option.type]:
        assert errors(f"{modules}{backend}{option.name} = {wrong}"), wrong


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.name)
def test_every_option_is_described(option: Option) -> None:
    assert option.meaning.endswith(".") and len(option.meaning) < 120
    assert option.name == option.name.lower()
    if option.choices and option.default is not None:
        assert option.default in option.choices
    if option.type is Type.INTEGER and option.default is not None:
        assert option.minimum <= option.default <= option.maximum


@pytest.mark.parametrize(
    "option", [option for option in OPTIONS.values() if option.scope == "server"], ids=lambda o: o.name
)
def test_options_of_the_server_are_refused_in_blocks(option: Option) -> None:
    value = '( "mod_alias" )' if option.name == "server.modules" else acceptable(option)
    text = f'$HTTP["host"] == "x" {{ {option.name} = {value} }}'
    assert f"{option.name} counts for the whole server" in errors(text)
    assert errors(f'$HTTP["host"] == "x" {{ global {{ {option.name} = {value} }} }}') == []


@pytest.mark.holds("server.listen-backlog")
def test_options_of_a_socket_stand_in_its_block() -> None:
    assert errors('$SERVER["socket"] == ":81" { server.listen-backlog = 5 }') == []
    assert errors('$HTTP["host"] == "x" { server.listen-backlog = 5 }') == [
        "server.listen-backlog counts for a listening socket"
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("server.port = 0", "server.port is between 1 and 65535, not 0"),
        ('server.port = "80a"', "a string where server.port takes a number"),
        ("server.max-keep-alive-idle = 70000", "between 0 and 65535, not 70000"),
        ("server.stream-response-body = 3", "server.stream-response-body is between 0 and 2, not 3"),
        ('fcgibox.dot-files = "denied"', 'fcgibox.dot-files cannot be "denied"'),
        ('server.chroot = "srv"', "server.chroot is an absolute path"),
        ('dir-listing.activate = "enable"', 'dir-listing.activate = "enable" is not supported yet'),
        ('accesslog.filename = "|/usr/bin/logger"', "logging into a command is not supported yet"),
        ('url.redirect = ( "(" => "/" )', "this is no regular expression"),
        ('url.rewrite-once = ( "^/a" => "b" )', 'leads to a path, and "b" is none'),
        ('alias.url = ( "/a" => "/x", "/a/b" => "/y" )', 'the alias "/a/b" is never used'),
        ('auth.backend = "ldap"', 'auth.backend = "ldap" is not supported yet'),
        ('auth.backend = "htpassword"', 'auth.backend cannot be "htpassword"'),
        ('ssl.engine = "enable"', "ssl.engine is not supported yet"),
        ("webdav.activate = 1", "webdav.activate is not supported yet (mod_webdav is not built in)"),
        ('setenv.set-response-header = ( "Server" => "x" )', "a field that the server sets itself"),
        ('setenv.add-response-header = ( "X Y" => "x" )', '"X Y" is no name of a header field'),
        ('dir-listing.encoding = "utf-8"', "dir-listing.encoding is not supported yet"),
    ],
)
def test_a_value_that_cannot_be_had_is_refused(text: str, reason: str) -> None:
    found = errors(ALL + text)
    assert len(found) == 1
    assert reason in found[0]


def test_what_switches_nothing_off_that_is_missing_is_accepted() -> None:
    text = 'dir-listing.activate = "disable"\nserver.chroot = ""\nserver.kbytes-per-second = 0\n'
    assert errors(text) == []
    assert load(text, "t").settings.boolean("dir-listing.activate") is False


def test_modules_of_lighttpd_are_no_typos() -> None:
    assert errors('server.modules = ( "mod_rewrite", "mod_openssl" )') == []
    assert not {*FOREIGN_MODULES} & MODULES
    assert not {*FOREIGN_OPTIONS} & {*OPTIONS}


def test_settings_have_defaults_and_types() -> None:
    settings = load('server.port = "8000"\nserver.range-requests = 0', "t").settings
    assert settings.integer("server.port") == 8000
    assert settings.boolean("server.range-requests") is False
    assert settings.is_set("server.port") and not settings.is_set("server.tag")
    assert settings.string("server.tag").startswith("fcgibox/")
    assert settings.optional_string("server.name") is None and settings.string("server.name") == ""
    assert settings.strings("server.upload-dirs") == ("/var/tmp",)
    assert settings.pairs("mimetype.assign") == () == settings.rules("fastcgi.server")
    assert settings.auth_rules() == ()
    assert set(settings) == set(OPTIONS)
    for getter, name in (
        (settings.string, "server.port"),
        (settings.integer, "server.range-requests"),
        (settings.boolean, "server.port"),
        (settings.strings, "server.tag"),
    ):
        with pytest.raises(TypeError):
            getter(name)


AUTH = """
server.modules = ( "mod_auth", "mod_authn_file" )
auth.backend = "htpasswd"
auth.backend.htpasswd.userfile = "/srv/all"
$HTTP["url"] =^ "/b" { auth.backend.htpasswd.userfile = "/srv/b" }
auth.require = ( "/a" => ( "method" => "basic", "realm" => "A", "require" => "valid-user" ),
                 "/b" => ( "method" => "basic", "realm" => "", "require" => "user=joe|user=ann lee" ) )
"""


def test_rules_of_auth_require() -> None:
    configuration = load(AUTH, "t")
    first, second = configuration.settings.auth_rules()
    assert (first.prefix, first.method, first.realm, first.require) == ("/a", "basic", "A", ("valid-user",))
    assert (second.realm, second.require) == ("", ("user=joe", "user=ann lee"))
    assert configuration.password_files() == ("/srv/all", "/srv/b")
    assert configuration.notices == ()


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (
            '"method" => "digest", "realm" => "r", "require" => "valid-user"',
            'method "digest" is not supported yet',
        ),
        ('"method" => "base", "realm" => "r", "require" => "valid-user"', '"base" is no method'),
        ('"method" => "basic", "realm" => "r", "require" => "everybody"', '"everybody" names nobody'),
        ('"method" => "basic", "realm" => "r", "require" => "user="', '"user=" names nobody'),
        (
            '"method" => "basic", "realm" => "r", "require" => "group=x"',
            '"group=" in auth.require is not supported',
        ),
        ('"method" => "basic", "realm" => "r"', "says no require"),
        ('"realm" => "r", "require" => "valid-user"', "says no method"),
        ('"method" => "basic", "relam" => "r", "require" => "valid-user"', 'has no "relam"'),
        (
            '"method" => "basic", "realm" => 5, "require" => "valid-user"',
            'a number where "realm" takes a string',
        ),
    ],
)
def test_a_rule_that_protects_nothing_is_refused(rule: str, reason: str) -> None:
    text = AUTH.replace('"method" => "basic", "realm" => "A", "require" => "valid-user"', rule)
    found = errors(text)
    assert len(found) == 1
    assert reason in found[0]


def test_a_rule_without_passwords_is_refused() -> None:
    without_file = AUTH.replace("auth.backend.htpasswd.userfile", "accesslog.filename").replace(
        '"mod_auth"', '"mod_auth", "mod_accesslog"'
    )
    assert errors(without_file) == ["nobody could log in: auth.backend.htpasswd.userfile is not set"]
    assert errors(AUTH.replace('auth.backend = "htpasswd"', "")) == [
        "nobody could log in: auth.backend is not set"
    ]


@pytest.mark.holds("server.modules")
def test_mod_authn_file_is_loaded_as_lighttpd_does_with_advice() -> None:
    notices = load(AUTH.replace(', "mod_authn_file"', ""), "t").notices
    assert [notice.hint for notice in notices] == ['add the line: server.modules += ( "mod_authn_file" )']
