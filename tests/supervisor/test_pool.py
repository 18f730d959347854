"""The policy of a pool, with a driven clock."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from appliance.supervisor.actions import (
    Action,
    Announce,
    End,
    Gone,
    Prove,
    Restarted,
    Retire,
    Start,
    State,
    Tell,
)
from appliance.supervisor.crash_loop import LOOP, YOUNG
from appliance.supervisor.pool import PATIENCE, SETTLE, Pool


def running(minimum: int, maximum: int) -> Pool:
    pool = Pool("app", minimum, maximum)
    pool.start(0.0)
    for action in pool.take():
        assert isinstance(action, Start)
        pool.up(action.process, 0.0)
    pool.take()
    return pool


def starts(pool: Pool) -> list[str]:
    return [action.process for action in pool.take() if isinstance(action, Start)]


def test_the_minimum_is_started_and_announced_when_it_is_up() -> None:
    pool = Pool("app", 2, 4)
    pool.start(0.0)
    assert pool.take() == [Start("app-0"), Start("app-1")]
    pool.up("app-1", 0.1)
    assert pool.take() == [Announce("app-1"), Tell("running", "")]
    pool.up("app-0", 0.2)
    pool.up("app-0", 0.3)
    assert pool.take() == [Announce("app-0")]


def test_what_nobody_can_reach_is_replaced_before_it_ends() -> None:
    pool = running(1, 1)
    pool.unreachable("app-0", 1.0)
    assert pool.take() == [Retire("app-0"), Start("app-1")]
    pool.unreachable("app-0", 1.1)
    pool.unreachable("app-9", 1.1)
    assert pool.take() == []
    pool.retired("app-0")
    assert pool.take() == [End("app-0", urgent=False)]


def test_a_crash_loop_ends_without_a_new_process() -> None:
    """With min-procs = 0 nothing is started unasked, and the fronts of a failing pool ask for nothing."""
    for last in ("lives on", "dies"):
        pool = Pool("app", 0, 2)
        pool.want(1, 0.0)
        pool.up("app-0", 0.0)
        pool.take()
        now = 0.0
        while pool.state != "failing":
            pool.want(1, now)
            for process in starts(pool):
                pool.up(process, now)
                pool.ended(process, "exit status 1", (), now)
            pool.tick(now := now + 1.0)
        pool.take()
        if last == "dies":
            now += YOUNG
            pool.ended("app-0", "exit status 1", (), now)
        else:
            pool.tick(pool.deadline() or now)
        assert pool.state == "running", last


def test_wants_are_honoured_up_to_the_maximum() -> None:
    pool = running(1, 3)
    pool.want(1, 1.0)
    assert starts(pool) == ["app-1"]
    pool.want(5, 1.0)
    assert starts(pool) == ["app-2"]
    pool.want(1, 1.0)
    assert starts(pool) == []


def test_min_procs_zero_starts_with_the_first_request() -> None:
    pool = running(0, 2)
    assert pool.states() == {}
    pool.want(1, 1.0)
    assert starts(pool) == ["app-0"]


def test_a_wanted_process_that_could_not_be_started_is_tried_again() -> None:
    pool = running(0, 2)
    pool.want(1, 1.0)
    assert starts(pool) == ["app-0"]
    pool.ended("app-0", "Permission denied", (), 1.0)
    assert starts(pool) == ["app-1"], "the front counts on one"
    pool = running(1, 3)
    pool.want(2, 1.0)
    assert starts(pool) == ["app-1", "app-2"]
    pool.ended("app-1", "Permission denied", (), 1.0)
    assert starts(pool) == ["app-3"]


def test_a_minimum_that_could_not_be_started_is_not_replaced_twice() -> None:
    pool = Pool("app", 1, 4)
    pool.start(0.0)
    pool.ended("app-0", "Permission denied", (), 0.0)
    assert starts(pool) == ["app-0", "app-1"]


def test_a_failing_pool_without_a_minimum_is_tried_until_it_comes_up() -> None:
    pool = running(0, 2)
    pool.want(1, 0.0)
    now = 0.0
    for number in range(LOOP):
        assert starts(pool) == [f"app-{number}"]
        pool.up(f"app-{number}", now)
        pool.ended(f"app-{number}", "exit status 1", (), now)
        if pool.state != "failing":
            pool.want(1, now)  # the front still has the request
        now = max(now, pool.deadline() or now)
        pool.tick(now)
    assert pool.state == "failing" and starts(pool) == [f"app-{LOOP}"]
    pool.up(f"app-{LOOP}", now)
    pool.tick(now + SETTLE)
    assert pool.take()[:2] == [Announce(f"app-{LOOP}"), Tell("running", "")]
    assert pool.deadline() == now + 2 * YOUNG, "then the deaths are forgotten"
    pool.tick(pool.deadline() or 0)
    assert pool.deadline() is None


def test_idle_processes_retire_down_to_the_minimum() -> None:
    pool = running(1, 3)
    pool.want(1, 1.0)
    pool.take()
    pool.up("app-1", 1.0)
    pool.take()
    pool.idle("app-0")
    pool.idle("app-1")
    assert pool.take() == [Retire("app-0")]
    pool.retired("app-1")
    assert pool.take() == [], "it was not asked to"
    pool.retired("app-0")
    assert pool.take() == [End("app-0", urgent=False)]
    pool.ended("app-0", "exit status 0", (), 2.0)
    assert pool.take() == [Gone("app-0", "exit status 0", ())]


def test_a_dead_process_is_replaced_at_once_under_a_new_name() -> None:
    pool = running(1, 1)
    pool.ended("app-0", "ended by SIGKILL", ("last",), 100.0)
    assert pool.take() == [Gone("app-0", "ended by SIGKILL", ("last",)), Start("app-1")]


def test_young_deaths_make_pauses_that_grow_and_a_failing_pool() -> None:
    pool = Pool("app", 1, 1)
    pool.start(0.0)
    now, pauses = 0.0, []
    for number in range(8):
        name = f"app-{number}"
        assert starts(pool) == [name]
        pool.up(name, now)
        pool.ended(name, "exit status 3", ("no database",), now + 0.1)
        now += 0.1
        if pool.states():
            pauses.append(0.0)
            continue
        due = pool.deadline()
        assert due is not None
        pauses.append(round(due - now, 3))
        pool.tick(due - 0.01)
        assert not pool.states(), "too early"
        now = due
        pool.tick(now)
    assert pauses == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
    assert pool.state == "failing"
    assert "exit status 3" in pool.reason and "no database" in pool.reason


def failing() -> tuple[Pool, float]:
    pool = Pool("app", 2, 2)
    pool.start(0.0)
    now = 0.0
    for _ in range(LOOP):
        for name in list(pool.states()):
            pool.up(name, now)
            pool.ended(name, "exit status 1", (), now)
        now = max(now, pool.deadline() or now)
        pool.tick(now)
    return pool, now


def test_a_failing_pool_tries_with_one_and_announces_it_when_it_has_settled() -> None:
    pool, now = failing()
    pool.take()
    (name,) = pool.states()
    pool.up(name, now)
    assert pool.take() == []
    assert pool.deadline() == now + SETTLE
    pool.tick(now + SETTLE)
    assert pool.take()[:2] == [Announce(name), Tell("running", "")]


def test_a_pool_recovers_fully() -> None:
    pool, now = failing()
    for _ in range(20):
        now += YOUNG
        for name in pool.states():
            pool.up(name, now)
        pool.tick(now)
    assert list(pool.states().values()) == [State.RUNNING, State.RUNNING]
    pool.take()
    pool.ended(next(iter(pool.states())), "ended by SIGKILL", (), now)
    assert any(isinstance(action, Start) for action in pool.take()), "at once again"


def test_processes_killed_together_count_once() -> None:
    pool = running(4, 4)
    for number in range(4):
        pool.ended(f"app-{number}", "ended by SIGKILL", (), 1.0)
    assert len([action for action in pool.take() if isinstance(action, Start)]) == 4
    assert pool.state == "running"


def test_a_stuck_process_is_ended_urgently_and_replaced_without_counting() -> None:
    pool = running(1, 1)
    for number in range(10):
        pool.stuck(f"app-{number}", 1.0)
        assert pool.take() == [
            Retire(f"app-{number}"),
            End(f"app-{number}", urgent=True),
            Start(f"app-{number + 1}"),
        ]
        pool.ended(f"app-{number}", "ended by SIGKILL", (), 1.0)
        pool.up(f"app-{number + 1}", 1.0)
        pool.take()
    assert pool.state == "running"


def test_stop_ends_everything_and_starts_nothing() -> None:
    pool = running(2, 4)
    pool.stop(urgent=False)
    assert pool.take() == [End("app-0", urgent=False), End("app-1", urgent=False), Tell("stopped", "")]
    pool.want(3, 2.0)
    pool.ended("app-0", "exit status 0", (), 2.0)
    pool.stop(urgent=True)
    pool.ended("app-1", "ended by SIGKILL", (), 2.0)
    assert starts(pool) == []
    assert pool.over and pool.deadline() is None


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "want",
                "up",
                "ended",
                "idle",
                "retired",
                "stuck",
                "tick",
                "proven",
                "unproven",
                "recycle",
                "wears",
                "spent",
                "restart",
            ]
        ),
        st.integers(0, 6),
        st.floats(0, 20),
    ),
    max_size=80,
)


@given(EVENTS, st.integers(0, 3), st.integers(0, 3), st.sampled_from([0.0, 30.0]))
def test_whatever_happens_the_bounds_hold_and_the_minimum_comes_back(
    events: list[tuple[str, int, float]], minimum: int, more: int, max_age: float
) -> None:
    pool = Pool("app", minimum, max(1, minimum + more), itertools.count(), max_age)
    now = 0.0
    restarting = False
    pool.start(now)
    for event, number, seconds in events:
        now += seconds
        names = list(pool.states()) or ["app-none"]
        name = names[number % len(names)]
        match event:
            case "want":
                pool.want(number, now)
            case "up":
                pool.up(name, now)
            case "ended":
                pool.ended(name, "exit status 1", (), now)
            case "idle":
                pool.idle(name)
            case "retired":
                pool.retired(name)
            case "stuck":
                pool.stuck(name, now)
            case "proven":
                pool.proven(name, now)
            case "unproven":
                pool.unproven(name, "it accepts nothing")
            case "recycle" | "wears":
                pool.recycle(name, now, at_once=event == "recycle")
            case "spent":
                pool.spent(name, now)
            case "restart" if not restarting:
                pool.restart(now)
                restarting = True
            case "tick":
                pool.tick(now)
        restarting = carried_out(pool, restarting)
        if event == "tick":
            due = pool.deadline()
            assert due is None or due > now, "it would be called again and again"
        live = [state for state in pool.states().values() if state in (State.STARTING, State.RUNNING)]
        assert len(live) <= max(1, minimum + more) + 1, "one above the maximum, for a moment"
    for _ in range(60):
        for name, state in pool.states().items():
            pool.up(name, now)
            pool.proven(name, now)
            pool.retired(name)
            if state is State.ENDING:
                pool.ended(name, "exit status 0", (), now)
        restarting = carried_out(pool, restarting)
        now = max(now + YOUNG, pool.deadline() or 0)
        pool.tick(now)
    assert list(pool.states().values()).count(State.RUNNING) >= minimum
    assert not restarting, "whoever asked hears how it went"


def carried_out(pool: Pool, restarting: bool) -> bool:
    """Take the actions; whether a restart is still under way."""
    for action in pool.take():
        if isinstance(action, Restarted):
            assert restarting
            restarting = False
    return restarting


def serving(minimum: int, maximum: int, max_age: float = 0.0) -> Pool:
    """All processes are up."""
    pool = Pool("app", minimum, maximum, itertools.count(), max_age)
    pool.start(0.0)
    for name in pool.states():
        pool.up(name, 0.0)
    pool.take()
    return pool


def come_up(pool: Pool, name: str, now: float) -> list[Action]:
    """A successor is up and proves itself; what follows from that."""
    pool.up(name, now)
    assert pool.take() == [Prove(name)], "not announced before it has proved itself"
    pool.proven(name, now)
    return pool.take()


def test_a_successor_is_proved_before_the_old_one_retires_and_one_at_a_time() -> None:
    pool = serving(2, 2)
    pool.recycle("app-0", 10.0)
    pool.recycle("app-1", 10.0)
    assert pool.take() == [Start("app-2")]
    assert come_up(pool, "app-2", 10.1) == [Announce("app-2"), Retire("app-0")]
    pool.retired("app-0")
    assert pool.take() == [End("app-0", urgent=False)]
    pool.ended("app-0", "exit status 0", (), 10.2)
    assert pool.take() == [Gone("app-0", "exit status 0", ()), Start("app-3")]
    assert come_up(pool, "app-3", 10.3) == [Announce("app-3"), Retire("app-1")]


def test_the_next_succession_does_not_wait_for_ever_for_a_long_request() -> None:
    pool = serving(2, 2)
    pool.recycle("app-0", 10.0)
    pool.recycle("app-1", 10.0)
    pool.take()
    come_up(pool, "app-2", 10.0)
    assert pool.deadline() == 10.0 + PATIENCE
    pool.tick(10.0 + PATIENCE)
    assert pool.take() == [Start("app-3")]


def test_a_process_works_on_beside_its_successor_until_it_is_spent() -> None:
    pool = serving(1, 1)
    pool.recycle("app-0", 10.0, at_once=False)
    assert pool.take() == [Start("app-1")]
    assert come_up(pool, "app-1", 10.1) == [Announce("app-1")]
    pool.want(1, 10.2)
    assert pool.take() == [], "there is none above the two"
    pool.spent("app-0", 11.0)
    assert pool.take() == [Retire("app-0")]


def test_the_next_ones_turn_ends_a_process_that_works_on_beside_its_successor() -> None:
    pool = serving(2, 2)
    pool.recycle("app-0", 10.0, at_once=False)
    pool.take()
    come_up(pool, "app-2", 10.0)
    pool.recycle("app-1", 11.0, at_once=False)
    assert pool.take() == [Retire("app-0")]
    pool.retired("app-0")
    pool.ended("app-0", "exit status 0", (), 11.0)
    assert Start("app-3") in pool.take()


def test_a_spent_process_without_a_successor_is_replaced_at_once() -> None:
    pool = serving(1, 1)
    pool.spent("app-0", 1.0)
    assert pool.take() == [Retire("app-0"), Start("app-1")]


def test_an_idle_process_with_a_successor_retires() -> None:
    pool = serving(1, 1)
    pool.recycle("app-0", 10.0, at_once=False)
    pool.take()
    come_up(pool, "app-1", 10.0)
    pool.idle("app-1")
    assert pool.take() == [Retire("app-0")], "whoever is named"


def test_a_successor_that_fails_leaves_the_old_one_and_is_tried_again_later() -> None:
    pool = serving(1, 1)
    now, attempts = 10.0, 0
    pool.recycle("app-0", now)
    for _ in range(LOOP + 2):
        (start,) = (action for action in pool.take() if isinstance(action, Start))
        attempts += 1
        pool.up(start.process, now)
        pool.ended(start.process, "exit status 3", ("no database",), now)
        assert pool.states() == {"app-0": State.RUNNING} or len(pool.states()) == 2
        due = pool.deadline()
        if len(pool.states()) == 1:
            assert due is not None and due > now and pool.next_try == due
            now = due
            pool.tick(now)
    assert attempts == LOOP + 2 and pool.state == "failing"
    assert pool.last_exit is not None and pool.last_exit.stderr == ("no database",)
    (start,) = (action for action in pool.take() if isinstance(action, Start))
    assert come_up(pool, start.process, now)[-1] == Retire("app-0")
    assert pool.state == "running"


def test_a_successor_that_does_not_serve_is_ended() -> None:
    pool = serving(1, 1)
    pool.recycle("app-0", 10.0)
    pool.up("app-1", 10.0)
    pool.take()
    pool.unproven("app-1", "it accepts nothing")
    assert pool.take() == [End("app-1", urgent=True)]
    pool.ended("app-1", "ended by SIGKILL", (), 70.0)
    assert pool.last_exit is not None and pool.last_exit.reason == "it accepts nothing"
    assert pool.states()["app-0"] is State.RUNNING


def test_age() -> None:
    pool = serving(2, 2, max_age=60.0)
    assert pool.deadline() == 60.0
    pool.tick(59.0)
    assert pool.take() == []
    pool.tick(60.0)
    assert pool.take() == [Start("app-2")]
    assert come_up(pool, "app-2", 60.5) == [Announce("app-2"), Retire("app-0")]


def test_a_restart_follows_everybody_and_says_when_it_is_done() -> None:
    pool = serving(2, 2)
    pool.restart(10.0)
    assert pool.take() == [Start("app-2")]
    assert come_up(pool, "app-2", 10.0) == [Announce("app-2"), Retire("app-0")]
    pool.retired("app-0")
    pool.ended("app-0", "exit status 0", (), 10.0)
    assert Start("app-3") in pool.take()
    assert come_up(pool, "app-3", 10.0) == [Announce("app-3"), Retire("app-1"), Restarted(None, ())]


def test_a_restart_that_fails_changes_nothing() -> None:
    pool = serving(2, 2)
    pool.restart(10.0)
    pool.take()
    pool.up("app-2", 10.0)
    pool.ended("app-2", "exit status 1", ("syntax error",), 10.1)
    actions = pool.take()
    assert actions[-1] == Restarted("app-2 was started and did not come up: exit status 1", ("syntax error",))
    assert pool.states() == {"app-0": State.RUNNING, "app-1": State.RUNNING}
    assert pool.state == "running" and pool.next_try is None


def test_a_restart_of_nothing_shows_whether_one_comes_up() -> None:
    pool = running(0, 2)
    pool.restart(1.0)
    assert pool.take() == [Start("app-0")]
    assert come_up(pool, "app-0", 1.0) == [Announce("app-0"), Tell("running", ""), Restarted(None, ())]


def test_a_restart_ends_the_wait_of_a_crash_loop() -> None:
    pool, now = failing()
    pool.take()
    for name in list(pool.states()):
        pool.ended(name, "exit status 1", (), now)
    assert not pool.states() and pool.next_try is not None
    pool.take()
    pool.restart(now)
    (first, *others) = starts(pool)
    assert len(others) == 1
    pool.up(first, now)
    pool.ended(first, "exit status 1", (), now)
    assert any(isinstance(action, Restarted) and action.error for action in pool.take())
    assert pool.state == "failing"


def test_a_restart_ends_with_the_pool() -> None:
    pool = serving(1, 1)
    pool.restart(1.0)
    pool.take()
    pool.stop(urgent=False)
    assert Restarted("the pool is being stopped", ()) in pool.take()


def test_a_want_that_a_successor_would_have_met_outlives_it() -> None:
    """The front counts on what it asked for: with min-procs = 0 its request would wait for ever."""
    pool = Pool("app", 0, 1)
    pool.restart(0.0)  # nothing lives: it is tried whether one comes up
    assert starts(pool) == ["app-0"]
    pool.want(1, 0.1)
    assert starts(pool) == [], "one is on its way"
    pool.ended("app-0", "exit status 1", (), 0.2)
    assert starts(pool) == ["app-1"]
