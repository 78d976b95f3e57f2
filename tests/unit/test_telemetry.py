"""Lines and counts reach Redis, and a Redis that is away costs lines but no call."""

import asyncio
import logging
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis
from redis.exceptions import ConnectionError as RedisConnectionError

from tasks import logs, measures
from tasks.logs import LineBuffer
from tasks.store import keys, telemetry
from tasks.store.ledger import Ledger
from tasks.telemetry import Shipping, shipping

pytestmark = pytest.mark.anyio


@pytest.fixture
async def deps(anyio_backend: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """What shipping works with, on an empty Redis, with nothing logged or counted yet."""
    redis: Any = FakeAsyncRedis(decode_responses=True)
    monkeypatch.setattr(logs, "buffer", LineBuffer())
    measures.take()
    yield SimpleNamespace(
        redis=redis, ledger=Ledger(redis, owner="n/1"), settings=SimpleNamespace(retention_s=100)
    )
    await redis.aclose()


async def begun(deps: Any, run_id: str) -> None:
    """Let a run be there."""
    await deps.redis.hset(keys.RunKeys(run_id).run, "state", "running")


async def events_in(deps: Any, stream: str) -> list[str]:
    """Read a log's events, oldest first."""
    lines = await telemetry.lines_before(deps.redis, stream, since_ms=0)
    return [line.entry["event"] for line in reversed(lines)]


def logged(run: str, *events: str) -> None:
    """Have something logged."""
    for event in events:
        logs.buffer.add(run, f'{{"event": "{event}"}}')


async def test_lines_go_to_the_log_of_all_and_to_their_runs(deps: Any) -> None:
    await begun(deps, "r1")
    await begun(deps, "r2")
    logged("r1", "a", "b")
    logged("", "upkeep")
    logged("r2", "c")
    await Shipping(deps).once()
    assert await events_in(deps, keys.LOG) == ["a", "b", "upkeep", "c"]
    assert await events_in(deps, keys.run_log("r1")) == ["a", "b"]
    assert await events_in(deps, keys.run_log("r2")) == ["c"]
    assert 0 < await deps.redis.ttl(keys.run_log("r1")) <= 100


async def test_a_late_line_of_a_run_that_is_gone_leaves_no_key_of_it(deps: Any) -> None:
    logged("gone", "late")
    await Shipping(deps).once()
    assert await events_in(deps, keys.LOG) == ["late"]
    assert await deps.redis.exists(keys.run_log("gone")) == 0


async def test_a_runs_log_is_bounded(deps: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "RUN_LINES", 100)
    await begun(deps, "r1")
    logged("r1", *map(str, range(1000)))
    await Shipping(deps).once()
    assert await deps.redis.xlen(keys.run_log("r1")) < 300


async def test_counts_go_to_their_minute_and_to_the_totals(deps: Any) -> None:
    ships = Shipping(deps)
    for _ in range(2):
        measures.count("call.ok", 3)
        await ships.once()
    minute = await deps.ledger.now_ms() // 60_000
    by_minute = await telemetry.counted(deps.redis, first=minute - 1, last=minute)
    assert sum(counts["call.ok"] for counts in by_minute.values()) == 6
    assert await deps.redis.hgetall(keys.TOTALS) == {"call.ok": "6"}


async def test_while_redis_is_away_lines_are_dropped_and_counted_and_counts_are_kept(
    deps: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ships, there = Shipping(deps), telemetry.ship

    async def away(*_: Any, **__: Any) -> None:
        raise RedisConnectionError

    monkeypatch.setattr(telemetry, "ship", away)
    measures.count("call.ok", 2)
    logged("", "lost", "lost")
    await ships.once()
    monkeypatch.setattr(telemetry, "ship", there)
    with caplog.at_level(logging.WARNING, logger="tasks.telemetry"):
        await ships.once()
    assert "2 log lines are lost" in caplog.text
    assert await deps.redis.hgetall(keys.TOTALS) == {"call.ok": "2", "log.dropped": "2"}


async def test_what_is_logged_last_is_shipped_before_the_end(deps: Any) -> None:
    async with shipping(deps):
        logged("", "last words")
    assert await events_in(deps, keys.LOG) == ["last words"]


async def test_a_redis_that_hangs_holds_nobody_up_at_the_end(
    deps: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def hang(*_: Any, **__: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(telemetry, "ship", hang)
    monkeypatch.setattr("tasks.telemetry.EVERY_S", 0.01)
    monkeypatch.setattr("tasks.telemetry.LAST_S", 0.01)
    async with asyncio.timeout(10), shipping(deps):
        logged("", "never shipped")
        await begun.wait()
