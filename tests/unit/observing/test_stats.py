"""Statistics add up what was counted, minute by minute and over the window."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from producer.commands.stats import minute_cells, times_text
from producer.spark import spark
from tasks.gate.on_redis import RedisRules
from tasks.observing import samples
from tasks.observing.stats import read_stats, stats_of
from tasks.observing.times import Times
from tasks.routing import LLM_QUEUES
from tasks.schemas.limits import Limits
from tasks.store import keys, telemetry
from tests.unit.observing.cluster import cluster
from tests.unit.observing.moments import MINUTE, WORKER, moment


def test_a_window_sums_its_minutes_and_no_other() -> None:
    by_minute = {
        MINUTE - 2: Counter({"call.ok": 1000}),
        MINUTE - 1: Counter({"call.ok": 60, "call.failed.rate": 20, "step.done": 9}),
        MINUTE: Counter({"call.ok": 30, "step.failed": 1, "log.dropped": 4}),
    }
    found = stats_of(moment(), by_minute, minutes=2)
    assert (found.window_s, found.calls, found.calls_per_s) == (90, 90, 1.0)
    assert (found.errors, found.error_rate) == ({"rate": 20}, round(20 / 110, 4))
    assert (found.steps, found.steps_failed, found.log_lines_dropped) == (9, 1, 4)
    assert [(line.at, line.calls) for line in found.trend] == [
        ((MINUTE - 1) * 60, 60),
        (MINUTE * 60, 30),
    ]


def test_a_sample_is_of_its_minute_and_a_minute_without_one_says_so() -> None:
    sampled = {f"{samples.PREFIX}{n}": v for n, v in samples.sample_of(moment()).items()}
    before, now = stats_of(moment(), {MINUTE: Counter(sampled)}, minutes=2).trend
    assert (before.waiting, before.cpu_percent) == (None, None)
    assert (now.waiting, now.running, now.cpu_percent, now.memory_percent) == (0, 0, 30, 40)
    assert minute_cells(before)[1:] == ["0", "0", "-", "0", "-", "-", "-", "-"]


def test_a_persons_lines() -> None:
    assert times_text(Times()) == "-"
    told = times_text(Times(count=1, mean_s=0.05, p50_s=0.05, p95_s=1.5, p99_s=20))
    assert told == "mean 50 ms, p50 50 ms, p95 1.50 s, p99 20.00 s"
    assert spark([0, 5, 10]) == "▁▅█"
    assert spark([0, 0]) == "▁▁"


@pytest.fixture
async def deps(anyio_backend: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """Open an empty cluster."""
    found = cluster(monkeypatch)
    yield found
    await found.redis.aclose()


@pytest.mark.anyio
async def test_what_redis_holds_is_read(deps: Any) -> None:
    now_ms = await deps.ledger.now_ms()
    worker = WORKER.model_copy(update={"seen_ms": now_ms + 60_000, "provider": "p"})
    await deps.redis.hset(keys.SERVICES, worker.name, worker.model_dump_json())
    await RedisRules(deps.redis).announce({"p": Limits(slots=3)})
    await deps.redis.rpush(LLM_QUEUES[0], "a", "b")
    await deps.redis.hset(keys.BAD_MESSAGES, "x", "{}")
    for session in ("s1", "s2"):
        await deps.sessions.enter(session, "u")
    minute = now_ms // 60_000
    counts = {"call.ok": 2}
    await telemetry.ship(deps.redis, [], counts, minute=minute, retention_s=60)
    found = await read_stats(deps, minutes=3)
    assert found.calls == 2
    assert (found.sessions.active, found.sessions.waiting) == (1, 1)
    assert sum(queue.waiting for queue in found.queues) == 2
    assert found.quarantine.messages == 1
    assert [one.name for one in found.services] == ["llm-1@a"]
    assert [(m.node, m.cpu_percent) for m in found.machines] == [("a", 30)]


@pytest.mark.anyio
async def test_a_later_sample_of_a_minute_replaces_the_earlier_one(deps: Any) -> None:
    for waiting in (7, 3):
        await telemetry.note_sample(deps.redis, {"now.waiting": waiting}, minute=MINUTE)
    counts = await telemetry.counted(deps.redis, first=MINUTE, last=MINUTE)
    assert counts[MINUTE]["now.waiting"] == 3
    assert 0 < await deps.redis.ttl(keys.counts(MINUTE)) <= telemetry.COUNTS_S
