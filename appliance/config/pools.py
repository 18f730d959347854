"""What a configuration says about applications: pools, the rules that lead to them, and who may come in.

A `PoolDefinition` is one host entry of `fastcgi.server` or `scgi.server`, complete with defaults. Two
equal definitions are one pool, in several places of a text or across a reload.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from appliance.config.confinement import ResourceLimit
from appliance.config.diagnostic import BUILT_IN, Position

Protocol: TypeAlias = Literal["fastcgi", "scgi"]
Mode: TypeAlias = Literal["responder", "authorizer"]
Method: TypeAlias = Literal["basic", "digest"]


@dataclass(frozen=True, slots=True)
class PoolDefinition:
    """One application behind a socket; times are whole seconds, 0 switches a limit off."""

    name: str
    protocol: Protocol
    socket: str | None = None
    host: str | None = None
    port: int = 0
    command: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    copy_environment: tuple[str, ...] | None = None
    mode: Mode = "responder"
    docroot: str | None = None
    check_local: bool = True
    min_procs: int = 4
    max_procs: int = 4
    max_load_per_proc: int = 1
    idle_timeout: int = 60
    listen_backlog: int = 1024
    disable_time: int = 1
    broken_scriptfilename: bool = False
    fix_root_scriptname: bool = False
    strip_request_uri: str = ""
    x_sendfile: bool = False
    x_sendfile_docroots: tuple[str, ...] = ()
    tcp_fin_propagate: bool = False
    upgrade: bool = False
    kill_signal: int = 15
    connect_timeout: int = 8
    write_timeout: int = 0
    read_timeout: int = 0
    slots: int | None = None
    template: bool = False
    weight: int = 1
    resolve_interval: int = 30
    keep_connections: int = 0
    check: str = ""
    check_interval: int = 10
    waiting_page: str = ""
    user: str | None = None
    group: str | None = None
    chroot: str | None = None
    umask: int | None = None
    nice: int | None = None
    limits: tuple[ResourceLimit, ...] = ()
    exclusive: tuple[str, ...] = ()
    queue_length: int = 1000
    queue_timeout: int = 60
    max_requests: int = 0
    max_memory: int = 0
    """MiB."""
    max_age: int = 0
    request_timeout: int = 0
    restart_file: str | None = None
    position: Position = field(default=BUILT_IN, compare=False, repr=False)

    @property
    def spawned(self) -> bool:
        """Whether we start its processes."""
        return bool(self.command)

    @property
    def recycles(self) -> bool:
        """Whether the application may end a kept connection between two requests, by rules of its own."""
        if self.spawned:
            # Who has it copied has set it; what to, only the supervisor's environment knows.
            copied = "PHP_FCGI_MAX_REQUESTS" in (self.copy_environment or ())
            given = dict(self.environment).get("PHP_FCGI_MAX_REQUESTS", "copied" if copied else "0")
            return given not in ("", "0")
        return self.keep_connections > 0


@dataclass(frozen=True, slots=True)
class GatewayRule:
    """A key of `fastcgi.server` and its hosts.

    A key that begins with "/" is a prefix of the path, "~" and a regular expression look anywhere in it, any
    other key is its end.
    """

    key: str
    pools: tuple[PoolDefinition, ...]


@dataclass(frozen=True, slots=True)
class AuthRule:
    """An entry of `auth.require`: who may see what lies below a prefix of the path."""

    prefix: str
    method: Method
    realm: str
    require: tuple[str, ...]
