"""The simulated provider never grants more than its limits."""

from hypothesis import given
from hypothesis import strategies as st

from tasks.llm.simulator.limits import Limits, Refusal
from tasks.llm.simulator.options import SimulatorOptions


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def limits(clock: Clock, **options: object) -> Limits:
    return Limits(SimulatorOptions.model_validate(options), clock)


def test_a_bucket_grants_its_burst_then_one_per_interval() -> None:
    clock = Clock()
    bucket = limits(clock, rpm=120)
    assert [bucket.admit(0) is None for _ in range(4)] == [True, True, False, False]
    refusal = bucket.admit(0)
    assert refusal is not None
    assert refusal.limit == "rpm"
    clock.now += refusal.wait_s
    assert bucket.admit(0) is None
    assert bucket.admit(0) is not None


def test_a_burst_that_is_set_is_how_many_pass_at_once() -> None:
    bucket = limits(Clock(), rpm=60, burst=5)
    assert [bucket.admit(0) is None for _ in range(6)].count(True) == 5


def test_a_window_counts_any_sixty_seconds_and_names_when_the_oldest_leaves() -> None:
    clock = Clock()
    window = limits(clock, rpm=2, limit_mode="window")
    assert window.admit(0) is None
    clock.now += 20
    assert window.admit(0) is None
    assert window.admit(0) == Refusal("rpm", 40.0)
    clock.now += 40
    assert window.admit(0) is None
    assert window.admit(0) == Refusal("rpm", 20.0)


def test_slots_come_back_when_calls_leave() -> None:
    slots = limits(Clock(), slots=1)
    assert slots.admit(0) is None
    assert slots.admit(0) == Refusal("slots", 1.0)
    slots.leave()
    assert slots.admit(0) is None


def test_a_refusal_by_one_limit_spends_nothing_of_another() -> None:
    clock = Clock()
    both = limits(clock, rpm=60, tpm=6000, burst=9)
    assert both.admit(100) is None
    refusal = both.admit(100)
    assert refusal is not None
    assert refusal.limit == "tpm"
    for _ in range(20):
        both.admit(100)
    clock.now += 1.0
    assert both.admit(100) is None


def test_a_request_larger_than_the_bucket_passes_when_it_is_full_and_is_paid_off() -> None:
    clock = Clock()
    bucket = limits(clock, tpm=60)
    assert bucket.admit(30) is None
    refusal = bucket.admit(1)
    assert refusal is not None
    assert refusal.wait_s == 30.0


@given(
    mode=st.sampled_from(["bucket", "window"]),
    rpm=st.integers(1, 200),
    gaps=st.lists(st.floats(0, 5), max_size=150),
)
def test_no_minute_holds_more_grants_than_the_limit_and_its_burst(
    mode: str, rpm: int, gaps: list[float]
) -> None:
    clock = Clock()
    limit = limits(clock, rpm=rpm, limit_mode=mode)
    grants: list[float] = []
    for gap in gaps:
        clock.now += gap
        if limit.admit(0) is None:
            grants.append(clock.now)
    allowed = rpm if mode == "window" else rpm + max(1, rpm / 60)
    for start in grants:
        assert sum(start <= at < start + 60 for at in grants) <= allowed + 1e-6


def test_refilling_forgets_what_was_spent_but_not_who_is_in() -> None:
    clock = Clock()
    limit = limits(clock, rpm=1, slots=2, limit_mode="window")
    assert limit.admit(0) is None
    limit.refill()
    assert limit.admit(0) is None
    assert limit.admit(0) == Refusal("slots", 1.0)
