"""The load is judged from counts; estimates only tell how long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.load import assess, calls_per_s, overloaded, queue_text, retry_after_s
from tasks.schemas.limits import GateState
from tasks.schemas.load import Backlog, Pace, Thresholds

AT = Thresholds(high=100, most=1000)
PACE = Pace(seconds_a_call=2.0, tokens_a_call=1000.0)
GATE = GateState(
    provider="p",
    rpm=0,
    tpm=0,
    slots=20,
    slots_now=20,
    slots_in_use=3,
    breaker="closed",
    failures=0,
    open_s=0,
    blocked_s=0,
    changed=False,
)


@pytest.mark.parametrize(
    ("calls", "state"),
    [(0, "low"), (99, "low"), (100, "high"), (999, "high"), (1000, "overloaded")],
)
def test_a_state_begins_at_its_threshold(calls: int, state: str) -> None:
    assert assess(Backlog(interactive=calls), AT, rate=1).state == state


def test_calls_of_batch_runs_do_not_count_against_interactive_ones() -> None:
    load = assess(Backlog(interactive=40, batch=960), AT, rate=2)
    assert (load.state, load.interactive_state) == ("overloaded", "low")
    assert (load.drain_s, load.interactive_drain_s) == (500, 20)


@pytest.mark.parametrize(
    ("limits", "rate"),
    [({}, 10), ({"slots_now": 5}, 2.5), ({"rpm": 60}, 1), ({"tpm": 30_000}, 0.5)],
)
def test_the_tightest_limit_decides_how_fast_calls_go(limits: dict[str, int], rate: float) -> None:
    assert calls_per_s([GATE.model_copy(update=limits)], PACE) == pytest.approx(rate)


def test_providers_add_up() -> None:
    assert calls_per_s([GATE, GATE], PACE) == 20
    assert calls_per_s([], PACE) == 0


def test_without_anybody_who_calls_no_time_is_promised() -> None:
    load = assess(Backlog(batch=2000), AT, rate=0)
    assert load.drain_s is None
    assert "nobody makes them now" in str(overloaded(load, "batch"))


@given(interactive=st.integers(0, 10**7), batch=st.integers(0, 10**7), rate=st.floats(0.01, 10**4))
def test_retry_after_is_never_sooner_than_5_s_nor_later_than_an_hour(
    interactive: int, batch: int, rate: float
) -> None:
    load = assess(Backlog(interactive=interactive, batch=batch), AT, rate=rate)
    for priority in ("interactive", "batch"):
        assert 5 <= retry_after_s(load, priority) <= 3600  # type: ignore[arg-type]


def test_retry_after_is_when_the_queue_is_below_the_threshold_again() -> None:
    load = assess(Backlog(batch=1199), AT, rate=1)
    assert retry_after_s(load, "batch") == 200


def test_a_refusal_tells_length_time_and_what_to_do() -> None:
    load = assess(Backlog(interactive=50, batch=3550), AT, rate=10)
    error = overloaded(load, "batch")
    assert str(error) == (
        "overloaded: 3,600 model calls are queued, about 6 min of work; this run was not taken"
    )
    assert "CASTLINE_QUEUE_MOST_CALLS (now 1,000)" in error.hint
    assert "interactive" in error.hint
    assert (error.queued_calls, error.drain_s) == (3600, 360)


def test_a_queue_reads_as_a_person_would_say_it() -> None:
    assert queue_text(0, 1) == "no model calls are queued"
    assert queue_text(12_345, 40) == "12,345 model calls are queued, about 40 s of work"
    assert queue_text(12_345, 10_000).endswith("about 2.8 h of work")
