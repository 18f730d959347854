"""The timer wheel: never early, at most one bucket late, and cancelled is cancelled."""

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from appliance.http.wheel import RESOLUTION, Wheel


@given(
    st.lists(st.tuples(st.floats(0, 50), st.booleans()), max_size=30),
    st.lists(st.floats(0.01, 20), max_size=40),
)
def test_every_timer_fires_once_and_in_time(timers: list[tuple[float, bool]], steps: list[float]) -> None:
    start = 1000.0
    wheel = Wheel(start)
    fired: list[int] = []
    for number, (delay, cancelled) in enumerate(timers):
        timer = wheel.add(start + delay, partial(fired.append, number))
        if cancelled:
            timer.cancel()
    now = start
    for step in [*steps, 100.0]:
        before, now = now, now + step
        for callback in wheel.advance(now):
            position = len(fired)
            callback()
            due = start + timers[fired[position]][0]
            assert due <= now
            assert due + 2 * RESOLUTION > before
    assert sorted(fired) == [number for number, (_, cancelled) in enumerate(timers) if not cancelled]
    assert not wheel
