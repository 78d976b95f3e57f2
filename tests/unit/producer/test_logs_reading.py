"""`castline logs` finds what was asked for, and goes on as lines come."""

import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis

from producer.commands.logs import shown
from producer.logs import Wanted, following, newest, run_logs, since_ms
from tasks.errors import BadInputError
from tasks.schemas.telemetry import LogLine
from tasks.store import keys, telemetry
from tasks.store.reader import RunReader


@pytest.fixture
async def deps(anyio_backend: str) -> AsyncIterator[Any]:
    """Open an empty Redis."""
    redis: Any = FakeAsyncRedis(decode_responses=True)
    yield SimpleNamespace(redis=redis, reader=RunReader(redis))
    await redis.aclose()


async def logged(deps: Any, event: str, **fields: str) -> None:
    """Log a line of no run."""
    line = json.dumps({"event": event, "level": "info", "service": "llm-1@a", **fields})
    await telemetry.ship(deps.redis, [("", line)], {}, minute=0, retention_s=60)


async def found(deps: Any, count: int = 50, **wanted: Any) -> list[str]:
    """Find lines; returns their events."""
    return [line.entry["event"] for line in await newest(deps, Wanted(**wanted), count=count)]


@pytest.mark.anyio
async def test_the_newest_lines_come_oldest_first_over_any_number_of_pages(
    deps: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "PAGE", 2)
    monkeypatch.setattr(telemetry.lines_before, "__kwdefaults__", {"before": "+", "count": 2})
    for number in range(7):
        await logged(deps, str(number))
    assert await found(deps) == list("0123456")
    assert await found(deps, count=3) == list("456")
    assert await found(deps, pattern="[024]", count=2) == list("24")


@pytest.mark.anyio
async def test_level_service_and_pattern_choose_lines(deps: Any) -> None:
    await logged(deps, "one", level="debug")
    await logged(deps, "two", level="error", step="p0.core")
    await logged(deps, "three", service="upkeep-2@b", level="warning")
    assert await found(deps, level="warning") == ["two", "three"]
    assert await found(deps, service="upkeep") == ["three"]
    assert await found(deps, pattern="P0.CORE") == ["two"]
    assert await found(deps, since_ms=10**15) == []


@pytest.mark.anyio
async def test_following_gives_each_later_line_once(deps: Any) -> None:
    await logged(deps, "before")
    [last] = await newest(deps, Wanted(), count=1)
    await logged(deps, "missed by nobody")
    seen: list[str] = []
    async for line in following(deps, Wanted(), after=last.id):
        if line is not None:
            seen.append(line.entry["event"])
        elif len(seen) == 1:
            await logged(deps, "as it comes")
        else:
            break
    assert seen == ["missed by nobody", "as it comes"]


@pytest.mark.anyio
async def test_the_list_has_the_runs_with_a_log(deps: Any) -> None:
    for number, run in enumerate(("r1", "r2")):
        fields = {"kind": "run", "state": "running", "created_ms": 1, "open": 1, "steps": 1}
        await deps.redis.hset(keys.RunKeys(run).run, mapping=fields)
        await deps.redis.zadd(keys.RUNS, {run: number})
    await telemetry.ship(deps.redis, [("r1", "{}"), ("r1", "{}")], {}, minute=0, retention_s=60)
    [one] = await run_logs(deps)
    assert (one.run, one.kind, one.lines) == ("r1", "run", 2)
    assert one.last_ms > 0


@pytest.mark.parametrize(
    ("wanted", "says"),
    [({"level": "loud"}, "--level 'loud'"), ({"pattern": "("}, "--grep: .* position 0")],
)
def test_a_wrong_level_or_pattern_is_named(wanted: dict[str, str], says: str) -> None:
    with pytest.raises(BadInputError, match=says):
        Wanted(**wanted).filter()


def test_since_is_a_number_with_a_unit() -> None:
    assert since_ms("2h", now_ms=10_000_000) == 10_000_000 - 7_200_000
    assert since_ms("", now_ms=1) == 0
    with pytest.raises(BadInputError, match="yesterday"):
        since_ms("yesterday", now_ms=1)


def test_a_person_reads_a_traceback_as_its_last_line_and_a_run_once() -> None:
    line = LogLine(
        id="0-1",
        entry={
            "event": "broke\nhere", "level": "error", "service": "llm-1@a", "run": "r1",
            "step": "s", "task_id": "x", "exception": "Traceback:\n  line\nKeyError: 'k'",
        },
    )  # fmt: skip
    text = shown(line, of_one_run=True).plain
    assert text.endswith("error   llm-1@a  broke here  step=s exception=KeyError: 'k'")
    assert "run=r1" in shown(line, of_one_run=False).plain
