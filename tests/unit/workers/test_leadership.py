"""One leader at a time, whoever dies or comes back late."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis

from workers.leadership import Leadership

pytestmark = pytest.mark.anyio
LEASE_MS = 200


@pytest.fixture
async def redis(anyio_backend: str) -> AsyncIterator[Any]:
    """Open an empty in-memory Redis."""
    client = FakeAsyncRedis(decode_responses=True)
    yield client
    await client.aclose()


def candidate(redis: Any, name: str, *, lease_ms: int = 60_000) -> Leadership:
    """Make a candidate for the same duty."""
    return Leadership(redis, "leader", name=name, lease_ms=lease_ms)


async def test_one_of_many_leads_and_keeps_leading(redis: Any) -> None:
    many = [candidate(redis, str(number)) for number in range(8)]
    took = await asyncio.gather(*(one.take() for one in many))
    assert took.count(True) == 1
    assert [await one.take() for one in many] == took


async def test_another_leads_at_once_when_the_leader_resigns(redis: Any) -> None:
    first, second = candidate(redis, "first"), candidate(redis, "second")
    assert await first.take()
    await second.resign()
    assert not await second.take()
    await first.resign()
    assert await second.take()


async def test_a_leader_that_froze_has_lost_the_lead_to_another(redis: Any) -> None:
    frozen, other = candidate(redis, "frozen", lease_ms=LEASE_MS), candidate(redis, "other")
    assert await frozen.take()
    await asyncio.sleep(2 * LEASE_MS / 1000)
    assert await other.take()
    assert not await frozen.take()
    await frozen.resign()
    assert not await frozen.take()


async def test_a_redis_that_is_away_does_not_keep_a_leader_from_ending(redis: Any) -> None:
    leader = candidate(redis, "leader")

    async def away(*_: Any) -> None:
        raise ConnectionError

    redis.eval = away
    await leader.resign()
    with pytest.raises(ConnectionError):
        await leader.take()
