"""Each alert fires when it should, and only then."""

from collections import Counter
from typing import Any

import pytest

from tasks import measures
from tasks.observing.alerts import alerts_of
from tasks.schemas.alerts import AlertLimits
from tasks.schemas.limits import GateState
from tasks.schemas.moment import Moment
from tasks.schemas.overview import MemoryLine, QueueLine
from tasks.schemas.quarantine import QuarantineCounts
from tests.unit.observing.moments import MINUTE, UPKEEP, WORKER, moment

Minutes = dict[int, Counter[str]]
GATE = GateState(
    provider="p", rpm=0, tpm=0, slots=20, slots_now=20, slots_in_use=0, breaker="open", failures=9,
    open_s=4, blocked_s=0, changed=False,
)  # fmt: skip


def fired(seen: Moment | None = None, by_minute: Minutes | None = None) -> list[str]:
    """Name what fires."""
    found = alerts_of(seen or moment(), by_minute or {}, AlertLimits())
    return [alert.id for alert in found]


def every_minute(minutes: int, **counts: int) -> Minutes:
    """Count the same in each of the last so many minutes."""
    named = {name.replace("__", ":").replace("_of_", "."): n for name, n in counts.items()}
    return {MINUTE - back: Counter(named) for back in range(minutes)}


def calls(count: int, seconds: float) -> Counter[str]:
    """Count calls that took so long."""
    measures.take()
    for _ in range(count):
        measures.count("call.ok")
        measures.observe("call", seconds)
    return Counter(measures.take())


def test_nothing_is_wrong_with_an_idle_cluster() -> None:
    assert fired() == []
    assert fired(by_minute=every_minute(60, call_of_ok=100, step_of_done=90)) == []


@pytest.mark.parametrize(
    ("ok", "failed", "fires"), [(90, 10, True), (91, 9, False), (9, 10, False), (0, 20, True)]
)
def test_a_tenth_of_at_least_20_attempts_failing_fires(ok: int, failed: int, fires: bool) -> None:
    by_minute = {
        MINUTE: Counter({"call.ok": ok}),
        MINUTE - 4: Counter({"call.failed.rate": failed}),
    }
    assert fired(by_minute=by_minute) == ["failing-calls"] * fires


def test_failures_of_long_ago_do_not_fire() -> None:
    assert fired(by_minute={MINUTE - 5: Counter({"call.failed.rate": 100})}) == []


@pytest.mark.parametrize(
    ("recent", "minutes", "fires"),
    [((20, 6.5), 10, True), ((20, 3.0), 10, False), ((19, 6.5), 10, False), ((20, 6.5), 9, False)],
)
def test_calls_twice_as_slow_as_usual_fire(
    recent: tuple[int, float], minutes: int, fires: bool
) -> None:
    by_minute = {MINUTE - 5 - back: calls(5, 3.0) for back in range(minutes)}
    by_minute[MINUTE] = calls(*recent)
    assert fired(by_minute=by_minute) == ["slow-calls"] * fires


@pytest.mark.parametrize(
    ("waiting", "done", "fires"),
    [
        ([4, 4, 5, 6, 9], 0, True),
        ([4, 4, 4, 4, 4], 0, True),
        ([9, 6, 5, 4, 4], 0, False),  # it gets shorter
        ([0, 4, 5, 6, 9], 0, False),  # it has only begun
        ([4, 4, 5, 6, 9], 1, False),  # something ends
    ],
)
def test_a_queue_without_progress_fires(waiting: list[int], done: int, fires: bool) -> None:
    by_minute = {
        MINUTE - 4 + number: Counter({"now.waiting": length})
        for number, length in enumerate(waiting)
    }
    by_minute[MINUTE - 2]["step.done"] += done
    assert fired(by_minute=by_minute) == ["stuck-queue"] * fires


def test_work_that_waits_for_a_worker_that_is_not_there_fires() -> None:
    queues = (QueueLine(name="llm.q", waiting=2, running=0),
              QueueLine(name="gpu.a.0", waiting=3, running=0))  # fmt: skip
    assert fired(moment(queues=queues)) == ["missing-workers:gpu"]
    dying = WORKER.model_copy(update={"state": "starting"})
    assert fired(moment(queues=queues, services=(dying, UPKEEP))) == [
        "missing-workers:gpu",
        "missing-workers:llm",
    ]
    assert fired(moment(queues=queues[:1], services=(WORKER,))) == ["missing-workers:upkeep"]
    assert fired(moment(services=())) == []


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ({"gates": (GATE,)}, ["breaker:p"]),
        ({"gates": (GATE.model_copy(update={"breaker": "closed"}),)}, []),
        ({"redis": MemoryLine(used_bytes=70, most_bytes=100, warn=True)}, ["redis-memory"]),
        ({"redis": MemoryLine(used_bytes=69, most_bytes=100, warn=False)}, []),
        ({"redis": MemoryLine(used_bytes=10**12, most_bytes=0, warn=False)}, []),
        ({"quarantine": QuarantineCounts(messages=1, steps=0, dropped_messages=0)}, ["quarantine"]),
        ({"quarantine": QuarantineCounts(messages=0, steps=1, dropped_messages=0)}, ["quarantine"]),
    ],
)
def test_what_stands_badly_fires(wrong: dict[str, Any], names: list[str]) -> None:
    assert fired(moment(**wrong)) == names


def test_a_machine_that_is_busy_for_three_minutes_fires_and_no_other() -> None:
    busy = WORKER.model_copy(update={"machine_cpu_percent": 95})
    other = WORKER.model_copy(update={"name": "llm-2@b", "node": "b", "machine_cpu_percent": 95})
    seen = moment(services=(busy, other, UPKEEP))
    assert fired(seen, every_minute(3, now_of_cpu_percent__a=80, now_of_cpu_percent__b=79)) == [
        "cpu:a"
    ]
    assert fired(seen, every_minute(2, now_of_cpu_percent__a=80)) == []
    assert fired(by_minute=every_minute(3, now_of_cpu_percent__a=80)) == []  # it is over


def test_a_machine_whose_memory_is_used_up_names_who_has_most() -> None:
    large = WORKER.model_copy(update={"machine_memory_percent": 70, "memory_bytes": 5_000_000_000})
    [alert] = alerts_of(moment(services=(UPKEEP, large)), {}, AlertLimits())
    assert alert.id == "memory:a"
    assert "llm-1@a (5,000 MB)" in alert.text


def test_lost_log_lines_fire_for_five_minutes() -> None:
    lost = Counter({"log.dropped": 3})
    assert fired(by_minute={MINUTE - 4: lost}) == ["log-lines-lost"]
    assert fired(by_minute={MINUTE - 5: lost}) == []
