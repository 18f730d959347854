"""Everything that can happen to a pool, in any order: no slot is lost or given twice, and waiting is fair."""

from __future__ import annotations

from collections import Counter, deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from appliance.config import PoolDefinition
from appliance.pool.pool import Pool, QueueFull, Returned, Slot, State

QUEUE_LENGTH = 4
QUEUE_TIMEOUT = 10


class Request:
    """A request as the pool sees it; `then` is done with the slot as soon as it is granted."""

    def __init__(self, machine: PoolMachine, number: int) -> None:
        self.machine = machine
        self.number = number
        self.slot: Slot | None = None
        self.state = "new"

    def granted(self, slot: Slot) -> None:
        assert self.state == "waiting"
        assert self.machine.expected.popleft() is self, "not the first in the queue"
        self.machine.given(self, slot)
        if self.machine.hasty:
            self.machine.finish(self, keep=False)

    def expired(self) -> None:
        assert self.state == "waiting"
        assert self.machine.expected.popleft() is self
        self.state = "expired"

    def refused(self, reason: str) -> None:
        raise AssertionError("the pool leaves that to its caller")


class PoolMachine(RuleBasedStateMachine):
    requests = Bundle("requests")

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.hasty = False  # a granted request gives its slot back before `granted` returns
        self.expected: deque[Request] = deque()  # who waits, in order
        self.running: dict[Slot, Request] = {}
        self.owned: Counter[str] = Counter()  # slots we were told of and have not given back
        self.retired: list[str] = []
        self.count = 0
        self.generation = 0
        self.draining = False

    @initialize(slots=st.sampled_from((1, 2, None)))
    def start(self, slots: int | None) -> None:
        self.slots = slots
        definition = PoolDefinition(
            "p",
            "fastcgi",
            command=("/bin/app",),
            min_procs=1,
            max_procs=3,
            slots=slots,
            queue_length=QUEUE_LENGTH,
            queue_timeout=QUEUE_TIMEOUT,
            idle_timeout=30,
        )
        self.pool = Pool(definition, self.retired.append, self.returned)

    def returned(self, returned: Returned) -> None:
        assert self.draining
        self.owned[returned.process] -= returned.slots

    def given(self, request: Request, slot: Slot) -> None:
        assert slot not in self.running, "given twice"
        assert slot.state is State.BUSY
        assert not slot.process.retiring and not slot.process.gone
        assert slot.process.disabled_until <= self.now
        if slot.connection is not None:
            assert slot.connection == slot.process.name
        request.state, request.slot = "running", slot
        self.running[slot] = request

    def finish(self, request: Request, keep: bool, suspect: bool = False) -> None:
        slot = request.slot
        assert slot is not None
        request.state, request.slot = "done", None
        del self.running[slot]
        if keep:
            slot.connection = slot.process.name
        kept = self.pool.release(slot, self.now, keep, suspect)
        assert keep or not kept

    @rule(target=requests)
    def ask(self) -> Request:
        self.count += 1
        request = Request(self, self.count)
        try:
            slot = self.pool.acquire(request, self.now)
        except QueueFull:
            assert len(self.expected) == QUEUE_LENGTH
            request.state = "refused"
            return request
        if slot is None:
            request.state = "waiting"
            self.expected.append(request)
        else:
            assert not self.expected, "overtook the queue"
            self.given(request, slot)
        return request

    @rule(request=requests, keep=st.booleans(), suspect=st.booleans(), hasty=st.booleans())
    def end(self, request: Request, keep: bool, suspect: bool, hasty: bool) -> None:
        if request.state == "running":
            self.hasty = hasty
            self.finish(request, keep, suspect and not keep)
            self.hasty = False

    @rule(request=requests)
    def client_goes(self, request: Request) -> None:
        if request.state == "waiting":
            assert self.pool.leave(request)
            self.expected.remove(request)
            request.state = "left"
        elif request.state == "running" and request.slot is not None and request.slot.state is State.BUSY:
            self.pool.abandon(request.slot)
        else:
            assert not self.pool.leave(request)

    @rule(suspect=st.integers(0, 2))
    def process_comes(self, suspect: int) -> None:
        if len(self.pool.processes) < 3:
            self.generation += 1
            name = f"p-{self.generation}"
            self.owned[name] += self.slots or 0
            self.pool.process_up(name, f"unix:/{name}", self.slots, suspect, self.now)

    @rule(data=st.data())
    def process_dies(self, data: st.DataObject) -> None:
        if self.pool.processes:
            name = data.draw(st.sampled_from(sorted(self.pool.processes)))
            slots = self.pool.process_gone(name)
            del self.owned[name]
            busy = {slot for slot in slots if slot.state is not State.KEPT}
            assert busy == {slot for slot in self.running if slot.process.name == name}
            for slot in busy:
                self.finish(self.running[slot], keep=False)

    @rule(data=st.data())
    def process_retires(self, data: st.DataObject) -> None:
        if self.pool.processes:
            name = data.draw(st.sampled_from(sorted(self.pool.processes)))
            assert all(slot.connection == name for slot in self.pool.retire(name))

    @rule(data=st.data())
    def process_fails(self, data: st.DataObject) -> None:
        if self.pool.processes:
            self.pool.fail(data.draw(st.sampled_from(sorted(self.pool.processes))), self.now)

    @rule(data=st.data(), slots=st.integers(1, 2))
    def slots_are_leased(self, data: st.DataObject, slots: int) -> None:
        if self.pool.processes and self.slots:
            name = data.draw(st.sampled_from(sorted(self.pool.processes)))
            self.owned[name] += slots
            self.pool.lease(name, slots, 0, self.now)

    @rule(data=st.data())
    def idle_connection_ends(self, data: st.DataObject) -> None:
        kept = [slot for process in self.pool.processes.values() for slot in process.kept]
        if kept:
            self.pool.connection_lost(data.draw(st.sampled_from(kept)))

    @rule(seconds=st.sampled_from((0.1, 1.0, 5.0)))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.pool.expire(self.now)

    @rule()
    def supervisor_is_asked(self) -> None:
        wanted = self.pool.wants()
        assert 0 <= wanted <= 3
        self.pool.asked(wanted)
        assert self.pool.wants() == 0

    @rule()
    def nothing_comes(self) -> None:
        self.pool.not_coming()

    @precondition(lambda self: not self.draining)
    @rule()
    def reload(self) -> None:
        self.draining = True
        for returned in self.pool.drain():
            self.returned(returned)

    @invariant()
    def no_slot_is_lost(self) -> None:
        if not hasattr(self, "pool"):
            return
        for name in self.retired:
            assert name not in self.pool.processes
            del self.owned[name]
        self.retired.clear()
        for name, process in self.pool.processes.items():
            if self.slots is not None:
                assert process.size == self.owned[name]
            slots = [*process.free, *process.kept, *process.suspect, *process.in_use]
            assert len(slots) == len(set(slots))
            assert process.in_use == {slot for slot in self.running if slot.process is process}
            assert all(slot.connection == name and slot.state is State.KEPT for slot in process.kept)
            assert all(slot.connection is None for slot in (*process.free, *process.suspect))
            if self.draining:
                assert not process.kept

    @invariant()
    def nobody_waits_without_need(self) -> None:
        if hasattr(self, "pool"):
            assert self.pool.waiting == len(self.expected)
            waited = (self.now, QUEUE_TIMEOUT)
            room = [
                process
                for process in self.pool.processes.values()
                if not process.retiring and process.disabled_until <= self.now and process.rank() is not None
            ]
            assert not (room and self.expected), waited


TestPool = PoolMachine.TestCase
TestPool.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
