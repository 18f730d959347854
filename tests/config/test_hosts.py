"""The host entries of fastcgi.server and scgi.server, and the pools they become."""

from __future__ import annotations

import dataclasses

import pytest

from appliance.config import ConfigurationError, PoolDefinition, load
from appliance.config.confinement import ResourceLimit
from appliance.config.host_keys import KEYS

MODULES = 'server.modules = ( "mod_fastcgi", "mod_scgi" )\n'


def pools(servers: str, before: str = "") -> tuple[PoolDefinition, ...]:
    """The pools of a fastcgi.server."""
    return load(f"{MODULES}{before}\nfastcgi.server = ( {servers} )", "t").pools()


def pool(keys: str, before: str = "") -> PoolDefinition:
    """The pool of one host entry."""
    (found,) = pools(f'"/app" => (( {keys} ))', before)
    return found


def refusal(servers: str) -> str:
    """The message for a fastcgi.server with one error."""
    with pytest.raises(ConfigurationError) as caught:
        pools(servers)
    assert len(caught.value.diagnostics) == 1, str(caught.value)
    return str(caught.value)


def test_an_entry_has_lighttpds_defaults() -> None:
    assert pool('"socket" => "/run/a.sock"') == PoolDefinition("app", "fastcgi", socket="/run/a.sock")
    spawned = pool('"socket" => "/run/a.sock", "bin-path" => "/usr/bin/app  --fast"')
    assert spawned.command == ("/usr/bin/app", "--fast") and spawned.spawned
    assert (spawned.min_procs, spawned.max_procs, spawned.slots) == (4, 4, None)


def test_every_key_is_understood() -> None:
    found = pool(
        """
        "host" => "::1", "port" => 9000, "bin-path" => "/bin/app",
        "bin-environment" => ( "A" => "1", "B" => "" ), "bin-copy-environment" => ( "PATH" ),
        "mode" => "responder", "docroot" => "/srv/app", "check-local" => "disable",
        "min-procs" => 1, "max-procs" => 3, "max-load-per-proc" => 2, "idle-timeout" => 30,
        "listen-backlog" => 64, "disable-time" => 5, "broken-scriptfilename" => "enable",
        "fix-root-scriptname" => "enable", "strip-request-uri" => "/app", "x-sendfile" => "enable",
        "x-sendfile-docroot" => ( "/srv/files", "/srv/more" ), "kill-signal" => 10,
        "connect-timeout" => 1, "write-timeout" => 2, "read-timeout" => 3, "tcp-fin-propagate" => "enable",
        "upgrade" => "enable", "slots" => 7, "template" => "enable", "user" => "joe", "group" => "staff",
        "exclusive" => ( "/srv/data" ), "queue-length" => 5, "queue-timeout" => 6,
        "weight" => 8, "resolve-interval" => 9, "check-interval" => 11, "waiting-page" => "enable",
        "chroot" => "/srv/jail", "umask" => "027", "nice" => "-5",
        "limits" => ( "nofile" => "10:20", "core" => 0 ),
        "max-requests" => 12, "max-memory" => 13, "max-age" => 14, "request-timeout" => 15,
        "restart-file" => "/run/again"
        """
    )
    assert found == PoolDefinition(
        name="app",
        protocol="fastcgi",
        host="::1",
        port=9000,
        command=("/bin/app",),
        environment=(("A", "1"), ("B", "")),
        copy_environment=("PATH",),
        docroot="/srv/app",
        check_local=False,
        min_procs=1,
        max_procs=3,
        max_load_per_proc=2,
        idle_timeout=30,
        listen_backlog=64,
        disable_time=5,
        broken_scriptfilename=True,
        fix_root_scriptname=True,
        strip_request_uri="/app",
        x_sendfile=True,
        x_sendfile_docroots=("/srv/files", "/srv/more"),
        tcp_fin_propagate=True,
        upgrade=True,
        kill_signal=10,
        connect_timeout=1,
        write_timeout=2,
        read_timeout=3,
        slots=7,
        template=True,
        user="joe",
        group="staff",
        chroot="/srv/jail",
        umask=0o27,
        nice=-5,
        limits=(ResourceLimit("core", 0, 0), ResourceLimit("nofile", 10, 20)),
        exclusive=("/srv/data",),
        queue_length=5,
        queue_timeout=6,
        weight=8,
        resolve_interval=9,
        check_interval=11,
        waiting_page="enable",
        max_requests=12,
        max_memory=13,
        max_age=14,
        request_timeout=15,
        restart_file="/run/again",
    )
    defaults = PoolDefinition("app", "fastcgi", host="::1", port=9000)
    untouched = {
        field.name
        for field in dataclasses.fields(found)
        if getattr(found, field.name) == getattr(defaults, field.name)
    }
    remote = {"keep_connections", "check"}  # for hosts without bin-path only
    assert untouched == {"name", "protocol", "socket", "host", "port", "mode"} | remote


def test_what_is_not_started_here_cannot_be_replaced_here() -> None:
    for key in ('"max-requests" => 1', '"max-memory" => 1', '"max-age" => 1', '"restart-file" => "/a"'):
        assert "only what we start can be replaced" in refusal(f'"/" => (( "socket" => "/a", {key} ))')
    assert pool('"socket" => "/a", "request-timeout" => 1').request_timeout == 1
    spawned = '"socket" => "/a", "bin-path" => "/a"'
    assert "absolute path" in refusal(f'"/" => (( {spawned}, "restart-file" => "again" ))')


@pytest.mark.holds("slots")
def test_slots_come_from_what_is_known() -> None:
    spawned = '"socket" => "/run/a", "bin-path" => "/bin/app"'
    children = '"bin-environment" => ( "PHP_FCGI_CHILDREN" => "%s" )'
    assert pool(f"{spawned}, {children % '3'}").slots == 3
    assert pool(f"{spawned}, {children % '0'}").slots is None
    assert pool(f"{spawned}, {children % 'x'}").slots is None
    assert pool(f'{spawned}, {children % "3"}, "slots" => 5').slots == 5
    assert pool(f'{spawned}, "template" => "enable"').slots == 1


@pytest.mark.holds("host", "port", "socket")
def test_addresses_are_those_of_lighttpd() -> None:
    assert pool('"host" => "/run/a.sock"').socket == "/run/a.sock"
    assert pool('"host" => "10.0.0.1"').port == 80
    assert pool('"bin-path" => "/bin/app", "port" => 9000').host == "127.0.0.1"
    assert pool('"host" => "app.example.org", "port" => 9000').host == "app.example.org"


@pytest.mark.holds("min-procs", "max-procs")
def test_min_procs_is_lowered_to_max_procs() -> None:
    found = pool('"socket" => "/run/a", "bin-path" => "/bin/app", "max-procs" => 2')
    assert (found.min_procs, found.max_procs) == (2, 2)
    text = f'{MODULES}fastcgi.server = ( "/a" => (( "socket" => "/a", "min-procs" => 9, "max-procs" => 2 )) )'
    configuration = load(text, "t")
    assert configuration.pools()[0].min_procs == 2
    assert "2 processes will run" in configuration.notices[0].reason


@pytest.mark.holds("user", "group")
def test_applications_run_as_the_servers_user_unless_they_have_one() -> None:
    before = 'server.username = "www-data"\nserver.groupname = "www"\n'
    entry = '"socket" => "/run/a", "bin-path" => "/bin/app"'
    assert (pool(entry, before).user, pool(entry, before).group) == ("www-data", "www")
    own = pool(f'{entry}, "user" => "joe"', before)
    assert (own.user, own.group) == ("joe", None), "joe in the group of the front could reach what it can"


def test_equal_entries_are_one_pool_in_all_scopes() -> None:
    text = f"""{MODULES}
        php = ( "socket" => "/run/php", "bin-path" => "/usr/bin/php-cgi" )
        fastcgi.server = ( ".php" => ( php ), ".php5" => ( "five" => php ) )
        $HTTP["host"] == "a" {{ fastcgi.server = ( "/" => ( php, ( "socket" => "/run/other" ) ) ) }}
        $HTTP["host"] == "b" {{ scgi.server = ( "/" => (( "socket" => "/run/scgi" )) ) }}
    """
    configuration = load(text, "t")
    assert [found.name for found in configuration.pools()] == ["php", "root", "root-2"]
    first, second = configuration.settings.rules("fastcgi.server")
    assert (first.key, second.key) == (".php", ".php5")
    assert first.pools == second.pools == configuration.pools()[:1]
    assert configuration.pools()[2].protocol == "scgi"


def test_names_are_unique_and_safe() -> None:
    found = pools(
        """
        "/a b/c" => (( "socket" => "/1" ), ( "socket" => "/2" )),
        "/" => ( "../../etc/passwd" => ( "socket" => "/3" ), "\u00e9" => ( "socket" => "/4" ) )
        """
    )
    assert [entry.name for entry in found] == ["a-b-c", "a-b-c-2", "etc-passwd", "root"]


def test_a_definition_is_the_same_after_a_reload_that_moves_it() -> None:
    entry = '"/app" => (( "socket" => "/run/a" ))'
    assert pools(entry) == pools(f"\n\n  {entry}", 'server.tag = "new"')
    assert pools(entry)[0].position != pools(f"\n\n  {entry}")[0].position


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('"sokcet" => "/run/a"', 'did you mean "socket"?'),
        ('"socket" => "/run/a", "bin_path" => "/bin/a"', 'did you mean "bin-path"?'),
        ('"socket" => "/run/a", "host" => "::1"', 'either "socket" or "host" with "port", not both'),
        ('"port" => 9000', 'a host needs "socket", "host" or "bin-path"'),
        ('"socket" => "run/a"', "the path of a socket is absolute"),
        (f'"socket" => "/{"x" * 107}"', "at most 107 bytes"),
        (f'"socket" => "/{"x" * 105}", "bin-path" => "/bin/a"', "each process has its own"),
        ('"host" => "10.0.0.1:9000"', 'the port has its own key: "port" => 9000'),
        ('"host" => "::1", "port" => 70000', '"port" is between 0 and 65535, not 70000'),
        ('"host" => "::1", "port" => "high"', 'a string where "port" takes a number'),
        ('"socket" => "/a", "check-local" => "no"', '"check-local" takes "enable" or "disable"'),
        ('"socket" => "/a", "bin-environment" => ( "A" )', '"bin-environment" takes a list of pairs'),
        ('"socket" => "/a", "bin-path" => " "', '"bin-path" is empty'),
        ('"socket" => "/a", "mode" => "responde"', 'did you mean "responder"?'),
        ('"socket" => "/a", "template" => "enable"', '"template" needs "bin-path"'),
        (
            '"socket" => "/a", "x-sendfile-docroot" => ( "b" )',
            'directories of "x-sendfile-docroot" are absolute',
        ),
        ('"socket" => "/a", "max-procs" => 0', '"max-procs" is between 1 and 65535, not 0'),
        ('"/run/a"', 'a host is described by pairs: "socket" => "/run/app.sock"'),
    ],
)
@pytest.mark.holds("mode")
def test_an_entry_that_cannot_work_is_refused(entry: str, said: str) -> None:
    assert said in refusal(f'"/app" => (( {entry} ))')


def test_a_missing_pair_of_parentheses_is_explained() -> None:
    assert "one pair of parentheses more" in refusal('"/app" => ( "socket" => "/run/a" )')


def test_two_pools_of_ours_cannot_share_an_address() -> None:
    said = refusal(
        '"/a" => (( "socket" => "/r", "bin-path" => "/x" )),'
        '"/b" => (( "socket" => "/r", "bin-path" => "/y" ))'
    )
    assert 'share the address "/r": they differ in "bin-path"' in said
    assert "the other one is in t:3:" in said
    said = refusal(
        '"/a" => (( "socket" => "/r", "bin-path" => "/x" )) )\nscgi.server = ( "/b" => (( "socket" => "/r" ))'
    )
    assert 'the address "/r" is used with FastCGI and with SCGI' in said
    assert (
        len(pools('"/a" => (( "socket" => "/r" )), "/b" => (( "socket" => "/r", "docroot" => "/x" ))')) == 2
    )


STARTER = '"host" => "127.0.0.1", "port" => 1026, "bin-path" => "/usr/local/bin/php", "max-procs" => 2'


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.holds("bin-path")
def test_an_entry_joins_the_pool_of_the_one_with_bin_path(order: int) -> None:
    keys = [f'".php" => (( {STARTER} ))', '".php4" => (( "host" => "127.0.0.1", "port" => 1026 ))']
    configuration = load(f"{MODULES}fastcgi.server = ( {', '.join(keys[::order])} )", "t")
    assert [(found.name, found.max_procs) for found in configuration.pools()] == [("php", 2)]
    rules = configuration.settings.rules("fastcgi.server")
    assert [rule.pools for rule in rules] == [configuration.pools()] * 2
    assert not configuration.notices


def test_an_entry_joins_from_another_block_and_keeps_what_is_of_its_requests() -> None:
    text = f"""{MODULES}
        $HTTP["host"] == "a" {{
            fastcgi.server = ( "/x" => (( "port" => 1026, "host" => "127.0.0.1", "check-local" => "disable",
                "docroot" => "/elsewhere", "mode" => "responder" )) )
        }}
        fastcgi.server = ( ".php" => (( {STARTER} )), "/y" => (( {STARTER}, "check-local" => "disable" )) )
    """
    configuration = load(text, "t")
    assert [found.name for found in configuration.pools()] == ["php"]
    (joined,) = configuration.blocks[0].values["fastcgi.server"][0].pools
    assert (joined.name, joined.command, joined.max_procs) == ("php", ("/usr/local/bin/php",), 2)
    assert (joined.docroot, joined.check_local) == ("/elsewhere", False)
    first, second = (rule.pools[0] for rule in configuration.settings.rules("fastcgi.server"))
    assert (first.name, first.check_local) == ("php", True)
    assert (second.name, second.check_local) == ("php", False)


def test_what_a_joining_entry_says_about_processes_is_not_passed_over() -> None:
    joining = '"host" => "127.0.0.1", "port" => 1026, "max-procs" => 9, "queue-length" => 1'
    before = 'server.username = "www-data"\n'
    servers = f'".a" => (( {joining} )), ".b" => (( {STARTER}, "user" => "joe" ))'
    text = f"{MODULES}{before}fastcgi.server = ( {servers} )"
    (notice,) = load(text, "t").notices
    assert '"max-procs", "queue-length" has no effect here' in notice.reason
    assert "is started in t:3:" in notice.reason


def test_a_key_may_be_a_regular_expression() -> None:
    entry = '(( "socket" => "/run/rt" ))'
    configuration = load(f'{MODULES}fastcgi.server = ( "~^/rt(/|$)" => {entry}, "~\\.x$" => {entry} )', "t")
    assert [found.name for found in configuration.pools()] == ["rt"]
    assert [rule.key for rule in configuration.settings.rules("fastcgi.server")] == ["~^/rt(/|$)", "~\\.x$"]
    assert 'no regular expression after "~"' in refusal(f'"~" => {entry}')
    assert "this is no regular expression" in refusal(f'"~(" => {entry}')


@pytest.mark.parametrize("module", ["fastcgi", "scgi"])
def test_a_mapped_end_leads_to_a_key_that_exists(module: str) -> None:
    server = f'{module}.server = ( ".php" => (( "socket" => "/a" )) )\n'
    fine = load(f'{MODULES}{server}{module}.map-extensions = ( ".php4" => ".php" )', "t")
    assert fine.settings.pairs(f"{module}.map-extensions") == ((".php4", ".php"),)
    with pytest.raises(ConfigurationError, match=rf'"\.php4" counts as "\.pph", which is no key of {module}'):
        load(f'{MODULES}{server}{module}.map-extensions = ( ".php4" => ".pph" )', "t")


def test_a_waiting_page_is_ours_or_a_file() -> None:
    spawned = '"socket" => "/a", "bin-path" => "/bin/a"'
    assert pool(f'{spawned}, "waiting-page" => "/srv/wait.html"').waiting_page == "/srv/wait.html"
    assert pool(f'{spawned}, "waiting-page" => "disable"').waiting_page == ""
    assert '"wait.html" is no waiting page' in refusal(
        f'"/" => (( {spawned}, "waiting-page" => "wait.html" ))'
    )
    assert 'needs "bin-path"' in refusal('"/" => (( "socket" => "/a", "waiting-page" => "enable" ))')


def test_keys_for_hosts_that_somebody_else_starts() -> None:
    found = pool('"socket" => "/a", "keep-connections" => 4, "check" => "/ping?full", "check-interval" => 3')
    assert (found.keep_connections, found.check, found.check_interval) == (4, "/ping?full", 3)
    assert found.recycles and not pool('"socket" => "/a"').recycles
    recycling = '"bin-environment" => ( "PHP_FCGI_MAX_REQUESTS" => "50" )'
    assert pool(f'"socket" => "/a", "bin-path" => "/bin/app", {recycling}').recycles
    copying = '"socket" => "/a", "bin-path" => "/a", "bin-copy-environment" => ( "PHP_FCGI_MAX_REQUESTS" )'
    assert pool(copying).recycles
    assert not pool(f'{copying}, "bin-environment" => ( "PHP_FCGI_MAX_REQUESTS" => "0" )').recycles
    spawned = '"socket" => "/a", "bin-path" => "/a"'
    assert "watched anyway" in refusal(f'"/" => (( {spawned}, "check" => "/b" ))')
    assert "it keeps one for" in refusal(
        '"/" => (( "socket" => "/a", "bin-path" => "/a", "keep-connections" => 1 ))'
    )
    assert '"ping" is no check' in refusal('"/" => (( "socket" => "/a", "check" => "ping" ))')
    scgi = f'{MODULES}scgi.server = ( "/" => (( "socket" => "/a", KEY )) )'
    for key in ('"check" => "values"', '"keep-connections" => 1'):
        with pytest.raises(ConfigurationError, match=r"FastCGI|SCGI"):
            load(scgi.replace("KEY", key), "t")


@pytest.mark.parametrize("balance", ["least-connection", "fair", "round-robin", "hash", "sticky"])
def test_every_way_of_balancing(balance: str) -> None:
    two = '(( "socket" => "/a" ), ( "socket" => "/b", "weight" => 3 ))'
    configuration = load(f'{MODULES}fastcgi.balance = "{balance}"\nfastcgi.server = ( "/" => {two} )', "t")
    assert configuration.settings.string("fastcgi.balance") == balance
    assert [pool.weight for pool in configuration.pools()] == [1, 3]
    assert '"weight"' in refusal('"/" => (( "socket" => "/a", "weight" => 0 ))')


def test_a_command_that_hopes_for_a_shell_is_pointed_out() -> None:
    text = f'{MODULES}fastcgi.server = ( "/" => (( "socket" => "/a", "bin-path" => "/bin/a $HOME" )) )'
    assert "no shell reads this command" in load(text, "t").notices[0].reason


def test_every_key_of_the_reference_is_known() -> None:
    reference = """
        host port socket bin-path bin-environment bin-copy-environment mode docroot check-local min-procs
        max-procs max-load-per-proc listen-backlog broken-scriptfilename fix-root-scriptname disable-time
        idle-timeout allow-x-send-file x-sendfile x-sendfile-docroot kill-signal tcp-fin-propagate
        connect-timeout write-timeout read-timeout upgrade
    """
    assert set(reference.split()) <= set(KEYS)


def test_the_defaults_of_keys_are_those_of_pools() -> None:
    """What a reference says of a key is what a host without it gets."""
    unset = pool('"socket" => "/x"')
    for key in KEYS.values():
        field = key.name.replace("-", "_")
        if key.default is not None and hasattr(unset, field):
            assert getattr(unset, field) == key.default, key.name
