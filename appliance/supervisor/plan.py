"""Everything a configuration needs, prepared so that committing to it cannot fail half-way.

A start and a reload do the same: bind what is new, open the logs, find users and programs, take locks. The
first error undoes what was done and leaves what runs untouched. What stays the same (a listener by its name,
a pool by its definition) is taken over from the plan that runs.
"""

from __future__ import annotations

import os
import resource
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

from appliance.config import Configuration, Listener, PoolDefinition
from appliance.errors import UserError
from appliance.supervisor.applications import Applications
from appliance.supervisor.chroot import outside
from appliance.supervisor.exclusive import Exclusives
from appliance.supervisor.identity import (
    Identity,
    closed_to,
    current,
    permissions,
    resolve,
    root_directory,
)
from appliance.supervisor.listeners import bind, permit, remove_unix
from appliance.supervisor.logs import Logs
from appliance.supervisor.room import available, expected, shortage
from appliance.supervisor.surroundings import Surroundings

# Descriptors of a front beside its connections: listeners, logs, channel, the loop, files being read.
_RESERVED = 32
_FEWEST_CONNECTIONS = 8


@dataclass(slots=True, eq=False)
class Plan:
    """A configuration with all its resources."""

    configuration: Configuration
    front: Identity
    sockets: dict[str, socket.socket]
    """Listening sockets by listener name."""
    pools: dict[str, Applications]
    logs: Logs
    descriptors: int
    """RLIMIT_NOFILE of the front."""
    connection_limit: int
    spool_directory: str
    notices: tuple[str, ...]
    """What the administrator should know, each to be logged once."""

    @property
    def exclusive(self) -> set[str]:
        """Directories that nobody else may serve."""
        return {path for pool in self.pools.values() for path in pool.definition.exclusive}

    @property
    def listener_names(self) -> tuple[str, ...]:
        """In the order of the configuration."""
        return tuple(self.sockets)


class Planner:
    """Makes plans; holds what outlives each of them."""

    def __init__(
        self, around: Surroundings, exclusives: Exclusives, passed: dict[str, socket.socket], hard_limit: int
    ) -> None:
        """`passed` are systemd's sockets; `hard_limit` is the number of descriptors that we may have."""
        self._around = around
        self._exclusives = exclusives
        self._passed = passed
        self._hard_limit = hard_limit

    def prepare(self, configuration: Configuration, running: Plan | None) -> Plan:
        """Raises UserError, having changed nothing."""
        settings = configuration.settings
        front = front_identity(configuration)
        _check_program(front)
        notices = [str(notice) for notice in configuration.notices]
        username = settings.optional_string("server.username")
        if front.uid == 0:
            notices.append('the front runs as root; set server.username (for example "www-data")')
        elif os.geteuid() != 0 and username not in (None, front.name):
            notices.append(
                f"server.username is {username!r}, but only root can change the user: this is {front.name}"
            )
        pools = self._pools(configuration, front, running)
        notices += _without_documents(configuration, front, pools)
        if running is None and (short := shortage(expected(configuration.pools()), available())):
            notices.append(short)
        fresh_locks = self._exclusives.acquire(
            {path for pool in pools.values() for path in pool.definition.exclusive}
        )
        try:
            sockets = self._sockets(configuration, running, front)
            try:
                error_log = settings.optional_string("server.errorlog")
                logs = Logs(error_log, access_logs(configuration), front.root)
            except UserError:
                self._close_new(sockets, running)
                raise
        except UserError:
            self._exclusives.release(fresh_locks)
            raise
        descriptors = min(settings.integer("server.max-fds") or self._hard_limit, self._hard_limit)
        limit = self._connection_limit(settings.integer("server.max-connections"), descriptors, notices)
        spool = _spool_directory(settings.strings("server.upload-dirs"), front)
        return Plan(configuration, front, sockets, pools, logs, descriptors, limit, spool, tuple(notices))

    def _pools(
        self, configuration: Configuration, front: Identity, running: Plan | None
    ) -> dict[str, Applications]:
        known = {} if running is None else running.pools
        pools = {}
        for definition in configuration.pools():
            if not definition.command:
                continue
            identity = self._identity(definition, front)
            pool = known.get(definition.name)
            if pool is None or (pool.definition, pool.identity, pool.front) != (definition, identity, front):
                pool = Applications(definition, identity, front, self._around)
            pools[definition.name] = pool
        return pools

    def _identity(self, definition: PoolDefinition, front: Identity) -> Identity:
        what = f"the pool {definition.name!r}"
        identity = front
        if definition.user is not None or definition.group is not None:
            identity = resolve(definition.user or front.name, definition.group, what)
        return replace(identity, root=root_directory(definition.chroot, f'{what}: "chroot"'))

    def _sockets(
        self, configuration: Configuration, running: Plan | None, front: Identity
    ) -> dict[str, socket.socket]:
        known = {} if running is None else running.sockets
        sockets: dict[str, socket.socket] = {}
        try:
            for listener in configuration.listeners():
                sock = (
                    known.get(listener.name) or self._passed.get(listener.name) or self._bind(listener, front)
                )
                sockets[listener.name] = sock
                # A kept socket may have got another backlog, and other permissions.
                sock.listen(listener.backlog)
                if listener.permissions is not None and listener.name not in self._passed:
                    permit(listener.address, listener.permissions)
        except UserError:
            self._close_new(sockets, running)
            raise
        return sockets

    def _bind(self, listener: Listener, front: Identity) -> socket.socket:
        sock = bind(listener)
        if listener.kind == "unix":
            # Clients are other programs (a front in front of us): as open as lighttpd leaves it, by umask or
            # server.socket-perms.
            if os.geteuid() == 0:
                os.chown(listener.address, front.uid, front.gid, follow_symlinks=False)
            self._around.addresses.protect(listener.address)
        return sock

    def discard(self, plan: Plan, running: Plan) -> None:
        """A plan that was never committed (its front did not come up): give back what only it has."""
        self._close_new(plan.sockets, running)
        plan.logs.close()
        self._exclusives.keep_only(running.exclusive)

    def replace(self, plan: Plan, by: Plan) -> None:
        """A plan is over: close the listeners that its successor does not have, and its logs."""
        self._close_new(plan.sockets, by)
        plan.logs.close()

    def _close_new(self, sockets: dict[str, socket.socket], kept: Plan | None) -> None:
        for name, sock in sockets.items():
            if (kept is None or name not in kept.sockets) and name not in self._passed:
                self.close_listener(name, sock)

    def close_listener(self, name: str, sock: socket.socket) -> None:
        """Close a listener, and remove the file of a unix one."""
        sock.close()
        if name.startswith("unix:"):
            path = name.removeprefix("unix:")
            remove_unix(path)
            self._around.addresses.unprotect(path)

    def _connection_limit(self, configured: int, descriptors: int, notices: list[str]) -> int:
        # A request may need two descriptors, its client's and its application's or its file's.
        possible = max(_FEWEST_CONNECTIONS, (descriptors - _RESERVED) // 2)
        if configured > possible:
            notices.append(
                f"server.max-connections is {configured}, but {descriptors} descriptors are enough "
                f"for {possible}: raise `ulimit -Hn` (LimitNOFILE of the unit)"
            )
        return min(configured, possible) if configured else possible


def front_identity(configuration: Configuration) -> Identity:
    """The front's user and group. As in lighttpd only root can change them, everybody else runs as
    himself."""
    settings = configuration.settings
    root = root_directory(settings.optional_string("server.chroot"), "server.chroot")
    if os.geteuid() != 0:
        return current()
    identity = resolve(
        settings.optional_string("server.username"),
        settings.optional_string("server.groupname"),
        "server.username",
    )
    return replace(identity, root=root)


def _without_documents(
    configuration: Configuration, front: Identity, pools: dict[str, Applications]
) -> Iterator[str]:
    """Pools in a chroot that none of the document roots lies in: they cannot be told where a file is."""
    values = [configuration.values, *(block.values for block in configuration.blocks)]
    found = {value for given in values if (value := given.get("server.document-root"))}
    for name, applications in pools.items():
        root = applications.identity.root
        if root is None or applications.definition.docroot is not None or not found:
            continue
        if not any(f"{outside(front.root, path)}/".startswith(f"{root}/") for path in found):
            yield (
                f"the pool {name!r} runs in the chroot {root}, and no server.document-root is below that: it "
                'is told paths that it does not have; set "docroot" to the directory as it sees it'
            )


def raise_descriptor_limit() -> tuple[int, int]:
    """Make our soft limit the hard one; the answer is what it was, for the programs we start."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft, hard


def access_logs(configuration: Configuration) -> Iterator[str]:
    """The access logs of all scopes, by the name the front knows them by."""
    names = [configuration.settings.optional_string("accesslog.filename")]
    names += [block.values.get("accesslog.filename") for block in configuration.blocks]
    return (name for name in dict.fromkeys(names) if name)


def _spool_directory(configured: tuple[str, ...], front: Identity) -> str:
    for path in (*configured, "/var/tmp", "/tmp"):
        if _writable(outside(front.root, path), front):
            return path
    names = ", ".join(outside(front.root, path) for path in configured or ("/var/tmp", "/tmp"))
    raise UserError(
        f"{front.name} can write to none of {names}: "
        "request bodies need a directory; name one in server.upload-dirs"
    )


def _writable(path: str, user: Identity) -> bool:
    try:
        status = os.stat(path)
    except OSError:
        return False
    return user.uid == 0 or permissions(status, user) & 0o3 == 0o3


def _check_program(front: Identity) -> None:
    """The front imports our code after it gave up its rights: say so if it cannot, instead of a traceback."""
    if front.root is not None:
        return  # it imports before it changes
    unpacked: str | None = getattr(sys, "_MEIPASS", None)
    # Frozen, its modules are no files: it reads them from its archive, which is the executable.
    for path in (os.__file__, __file__) if unpacked is None else (sys.executable, unpacked):
        closed = closed_to(path, front)
        if closed is None:
            continue
        if path == unpacked:
            raise UserError(
                f"the user {front.name} cannot read {unpacked}, where this program has unpacked itself: "
                f"{closed} is closed to it. Start with TMPDIR=/var/tmp, or `chmod o+x {closed}`"
            )
        raise UserError(
            f"the user {front.name} cannot read this program itself: {closed} is closed to it. "
            "Install fcgibox where everybody can read it (/opt, /usr/local), "
            f"or `chmod o+x {closed}`, or name another user"
        )
