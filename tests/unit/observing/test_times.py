"""Percentiles from buckets are those of the times themselves, to within 5 %."""

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import measures
from tasks.observing.times import Times, error_rate, failures, times_of

TIMES = st.lists(st.floats(0.002, 600), min_size=1, max_size=200)


def counted(seconds: list[float], *, processes: int = 1) -> Counter[str]:
    """Observe times in some processes and put what they counted together."""
    total: Counter[str] = Counter()
    for first in range(processes):
        measures.take()
        for one in seconds[first::processes]:
            measures.observe("call", one)
        total.update(measures.take())
    return total


def exact(seconds: list[float], share: float) -> float:
    """The smallest time that a share of all does not exceed."""
    return sorted(seconds)[math.ceil(len(seconds) * share) - 1]


@given(TIMES)
def test_percentiles_and_mean_are_right_to_within_5_percent(seconds: list[float]) -> None:
    times = times_of(counted(seconds))
    assert times.count == len(seconds)
    assert times.mean_s == pytest.approx(sum(seconds) / len(seconds), rel=0.05, abs=0.001)
    for share, found in ((0.5, times.p50_s), (0.95, times.p95_s), (0.99, times.p99_s)):
        assert found == pytest.approx(exact(seconds, share), rel=0.05, abs=0.0002)


def test_it_does_not_matter_how_many_processes_counted() -> None:
    seconds = [random.Random(n).expovariate(0.5) for n in range(1000)]
    assert times_of(counted(seconds, processes=7)) == times_of(counted(seconds))


def test_nothing_counted_is_no_time_and_no_error() -> None:
    assert times_of(Counter()) == Times()
    assert error_rate(Counter()) == 0


def test_failures_are_attempts_by_class() -> None:
    counts = Counter({"call.ok": 6, "call.failed.rate": 3, "call.failed.server": 1, "call.ms": 9})
    assert failures(counts) == {"rate": 3, "server": 1}
    assert error_rate(counts) == 0.4
