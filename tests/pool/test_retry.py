"""The rule "nothing runs twice" as a table."""

from __future__ import annotations

import itertools
from errno import ECONNREFUSED, ECONNRESET, EPIPE, ETIMEDOUT

import pytest

from appliance.gateway.failure import Failure, Stage
from appliance.pool.retry import ATTEMPTS, counted, may_retry

C, S, W, A = Stage.CONNECTING, Stage.SENDING, Stage.WAITING, Stage.ANSWERING


@pytest.mark.parametrize(
    ("stage", "method", "reused", "accepted", "answered", "error", "expected"),
    [
        (C, "POST", False, False, False, ECONNREFUSED, True),
        (C, "POST", False, False, False, ETIMEDOUT, True),
        (S, "POST", True, False, False, EPIPE, True),
        (S, "POST", True, True, False, EPIPE, False),
        (S, "GET", True, True, False, EPIPE, True),
        (W, "GET", True, True, False, ECONNRESET, True),
        (W, "HEAD", True, True, False, ECONNRESET, True),
        (W, "OPTIONS", True, True, False, ECONNRESET, True),
        (W, "POST", True, True, False, ECONNRESET, False),
        (W, "PUT", True, True, False, ECONNRESET, False),
        (W, "PROPFIND", True, True, False, ECONNRESET, False),
        (W, "GET", False, True, False, ECONNRESET, False),
        (W, "GET", True, True, False, 0, False),
        (W, "GET", True, True, False, ETIMEDOUT, False),
        (A, "GET", True, True, True, ECONNRESET, False),
        (S, "GET", True, True, True, EPIPE, False),
    ],
)
def test_table(
    stage: Stage, method: str, reused: bool, accepted: bool, answered: bool, error: int, expected: bool
) -> None:
    failure = Failure(stage, "it failed", error, error == ETIMEDOUT, accepted, answered, reused)
    assert may_retry(failure, method, 0) is expected
    assert may_retry(failure, method, ATTEMPTS) is False
    again = counted(failure, 0)
    assert may_retry(failure, method, again) is (expected and not accepted and stage is not C)


def test_whatever_may_have_run_and_changes_something_goes_out_once() -> None:
    errors = (0, EPIPE, ECONNRESET, ECONNREFUSED, ETIMEDOUT)
    for stage, error, answered, reused in itertools.product((S, W, A), errors, (False, True), (False, True)):
        failure = Failure(stage, "it failed", error, False, True, answered, reused)
        assert not may_retry(failure, "POST", 0)
