"""Sessions in which nothing happens are removed whole, once an hour, and those alone."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis

from tasks.settings import Settings
from tasks.store import keys
from tasks.store.sessions import Sessions
from workers.upkeep import forget_idle_sessions

pytestmark = pytest.mark.anyio

HOUR_S, DAY_S = 3600, 24 * 3600
IDLE, BUSY = "20261126-100000-idle", "20261126-100000-busy"


@dataclass(frozen=True)
class Only:
    """What the clean-up asks of everything that a process works with."""

    sessions: Sessions
    settings: Settings


@pytest.fixture
async def redis(anyio_backend: str) -> AsyncIterator[Any]:
    """Open an in-memory Redis with two sessions; one was idle for a day."""
    client = FakeAsyncRedis(decode_responses=True)
    sessions = Sessions(client)
    seconds, _ = await client.time()
    for session, idle_s in ((IDLE, DAY_S + 1), (BUSY, DAY_S - 60)):
        await sessions.enter(session, "ada")
        for key in keys.RunKeys(session).all:
            await client.set(key, "x")
        run = keys.RunKeys(session).run
        await client.delete(run)
        await client.hset(run, "state", "finished")
        await sessions.add_question(session, "Why?", planned=1, question_id="q")
        await client.zadd(keys.SESSIONS_SEEN, {session: (int(seconds) - idle_s) * 1000})
    yield client
    await client.aclose()


async def mentioned(redis: Any, session: str) -> list[str]:
    """Name the keys that are a session's, or have it in them."""
    found = [key async for key in redis.scan_iter(f"*{session}*")]
    for key in (keys.SESSIONS_ACTIVE, keys.SESSIONS_WAITING, keys.SESSIONS_SEEN):
        found += [key] if await redis.zscore(key, session) is not None else []
    return found + (
        [keys.SESSIONS_USERS] if await redis.hexists(keys.SESSIONS_USERS, session) else []
    )


async def swept(redis: Any, *, since_s: float) -> bool:
    """Let upkeep look, so long after it last did; says whether it cleaned up."""
    deps: Any = Only(Sessions(redis), Settings())
    last = asyncio.get_running_loop().time() - since_s
    return await forget_idle_sessions(deps, last) != last


async def test_after_a_day_nothing_of_an_idle_session_is_left_and_the_log_says_so(
    redis: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert await swept(redis, since_s=HOUR_S + 1)
    assert await mentioned(redis, IDLE) == []
    assert len(await mentioned(redis, BUSY)) > 5
    assert await redis.hget(keys.SESSIONS_COUNTS, "expired") == "1"
    assert "1 idle sessions are removed with" in caplog.text


async def test_upkeep_looks_once_an_hour(redis: Any) -> None:
    assert not await swept(redis, since_s=HOUR_S - 60)
    assert await mentioned(redis, IDLE) != []
