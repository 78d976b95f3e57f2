"""Counters count what their names say."""

from tasks.llm.simulator.stats import Stats


def test_a_key_granted_twice_and_one_answered_twice_are_told_apart() -> None:
    stats = Stats(0.0)
    for key, answered in (("a", 1), ("a", 0), ("b", 1), ("b", 1), ("c", 1)):
        stats.grant(key=key, strict=True, now=1.0)
        if answered:
            stats.finish(key=key, seconds=0.1, prompt=10, completion=2)
        stats.leave()
    shown = stats.shown()
    assert (shown["granted"], shown["answered"]) == (5, 4)
    assert (shown["duplicate_keys"], shown["answered_twice"]) == (2, 1)
    assert shown["tokens"] == {"prompt": 40, "completion": 8}
    assert shown["in_flight"] == 0


def test_the_busiest_minute_and_the_seconds_are_counted() -> None:
    stats = Stats(100.0)
    for at in (100.5, 101.2, 101.9, 130.0, 160.4, 161.3, 400.0):
        stats.grant(key="", strict=False, now=at)
    shown = stats.shown()
    assert shown["max_granted_in_60_s"] == 5
    assert shown["granted_by_second"] == {"0": 1, "1": 2, "30": 1, "60": 1, "61": 1, "300": 1}
    assert (shown["without_key"], shown["not_strict"]) == (7, 7)
    assert (shown["max_in_flight"], shown["in_flight"]) == (7, 7)


def test_a_reset_forgets_all_but_what_is_still_in_flight() -> None:
    stats = Stats(0.0)
    stats.grant(key="a", strict=True, now=1.0)
    stats.rejected["rpm"] += 3
    stats.reset(5.0)
    shown = stats.shown()
    assert (shown["granted"], shown["rejected"]["total"]) == (0, 0)
    assert (shown["in_flight"], shown["max_in_flight"]) == (1, 1)


def test_percentiles_are_those_of_the_answered_requests() -> None:
    stats = Stats(0.0)
    for n in range(1, 101):
        stats.finish(key="", seconds=n / 100, prompt=0, completion=0)
    assert stats.shown()["seconds"] == {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
