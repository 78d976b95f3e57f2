"""A service that has left does not come back by a beat that was under way."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis

from tasks.presence import Presence
from tasks.settings import Settings
from tasks.store import keys


@pytest.mark.anyio
async def test_a_beat_that_is_under_way_when_the_service_leaves_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis: Any = FakeAsyncRedis(decode_responses=True)
    presence = Presence(redis, Settings(home=tmp_path, node="n"), name="llm-1@n")
    told, may_go_on, time = asyncio.Event(), asyncio.Event(), redis.time

    async def slow() -> Any:
        told.set()
        await may_go_on.wait()
        return await time()

    monkeypatch.setattr(redis, "time", slow)
    beating = asyncio.create_task(presence.beat())
    await told.wait()
    await presence.leave()
    may_go_on.set()
    await beating
    assert await redis.hlen(keys.SERVICES) == 0
    await redis.aclose()
