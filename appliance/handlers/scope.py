"""What calls to applications need of the front, and what those of one scope of the configuration share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from appliance.config import GatewayRule, PoolDefinition, Settings
from appliance.gateway.failure import Failure
from appliance.gateway.upstream import Upstream
from appliance.handlers import physical
from appliance.handlers.exchange import Clock, Log
from appliance.handlers.waiting import WaitingPage
from appliance.http.files import FileCache
from appliance.http.loop import Loop
from appliance.http.spool import Spool
from appliance.pool.pool import Pool, Slot

if TYPE_CHECKING:
    from appliance.handlers.call import Call

HELD = 65536  # octets of an answer that are held back in the hope of its end
SPOOLED = 1 << 30  # octets of an answer spooled for a slow client before the application has to wait


class Desk(Protocol):
    """A pool at work: see `front.desk`."""

    pool: Pool
    address: str
    wary: bool
    waiting_page: WaitingPage | None

    @property
    def is_starting(self) -> bool: ...

    def enter(self, call: Call) -> None: ...

    def leave(self, call: Call) -> bool: ...

    def renew(self, slot: Slot) -> None: ...

    def connection(self, slot: Slot) -> Upstream: ...

    def release(self, slot: Slot, reusable: bool) -> None: ...

    def broke(self, slot: Slot, failure: Failure | None) -> None: ...

    def abandon(self, slot: Slot) -> None: ...

    def discarded(self, upstream: Upstream, complete: bool) -> None: ...


class Group(Protocol):
    """The hosts of one entry: see `front.groups`."""

    changes: bool

    @property
    def desks(self) -> Sequence[Desk]: ...

    def tell(self, observer: Callable[[], None]) -> None: ...


class Dispatch(Protocol):
    """All pools at work."""

    def group(self, definition: PoolDefinition) -> Group: ...

    def watch(self, rule: GatewayRule) -> None: ...


class Services(Protocol):
    """What this handler needs of the front."""

    @property
    def clock(self) -> Clock: ...

    @property
    def loop(self) -> Loop: ...

    @property
    def log(self) -> Log: ...

    @property
    def files(self) -> FileCache: ...

    @property
    def dispatch(self) -> Dispatch: ...

    def spool(self) -> Spool: ...


class Scope:
    """What the calls of one scope have in common."""

    __slots__ = ("chroot", "follow_links", "hold", "resolver", "root", "services", "spooled")

    def __init__(self, settings: Settings, services: Services) -> None:
        self.services = services
        self.root = settings.string("server.document-root").rstrip("/")
        self.resolver = physical.build(settings, services)
        self.chroot = settings.optional_string("server.chroot")
        self.follow_links = settings.boolean("server.follow-symlink")
        streaming = settings.integer("server.stream-response-body")
        self.hold = 0 if streaming else HELD
        self.spooled = HELD if streaming == 2 else SPOOLED
