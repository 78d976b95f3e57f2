"""Slots of discussions: so many in the cluster, first come first served, free when not renewed."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis

from tasks.store import keys
from tasks.store.sessions import LEASE_MS, Entry, Sessions

pytestmark = pytest.mark.anyio


@pytest.fixture
async def redis(anyio_backend: str) -> AsyncIterator[Any]:
    """Open an empty in-memory Redis."""
    client = FakeAsyncRedis(decode_responses=True)
    yield client
    await client.aclose()


async def test_past_the_slots_one_waits_and_is_let_in_in_order(redis: Any) -> None:
    sessions = Sessions(redis, slots=2, each=1)
    entries = [await sessions.enter(name, f"user of {name}") for name in "abcd"]
    assert [entry.position for entry in entries] == [0, 0, 1, 2]
    assert await sessions.promote() == []
    await sessions.leave("b")
    late = await sessions.enter("e", "user of e")
    assert late.position == 3, "somebody who comes later took the free slot"
    assert await sessions.promote() == ["c"]
    await sessions.leave("a")
    await sessions.leave("c")
    assert await sessions.promote() == ["d", "e"]
    assert await sessions.waiting() == []


async def test_a_user_has_so_many_at_once_waiting_ones_included(redis: Any) -> None:
    sessions = Sessions(redis, slots=1, each=2)
    assert [await sessions.enter(name, "ada") for name in "ab"] == [
        Entry(position=0, held=1),
        Entry(position=1, held=2),
    ]
    assert await sessions.enter("c", "ada") == Entry(position=-1, held=2)
    assert (await sessions.enter("d", "bob")).position == 2
    assert await sessions.of_user("ada") == ["a", "b"]


async def test_a_slot_that_nobody_renews_is_free_again(redis: Any) -> None:
    sessions = Sessions(redis, slots=2)
    for name in ("lost", "kept", "next"):
        await sessions.enter(name, "ada")
    seconds, _ = await redis.time()
    over = int(seconds) * 1000 - 1
    await redis.zadd(keys.SESSIONS_ACTIVE, {"lost": over, "kept": over + LEASE_MS // 10})
    await sessions.hold("kept")
    assert await sessions.promote() == ["next"]
    assert set(await sessions.active()) == {"kept", "next"}
    assert await redis.zscore(keys.SESSIONS_ACTIVE, "kept") > over + LEASE_MS // 2


async def test_one_that_has_ended_takes_a_slot_again_only_where_one_is_free(redis: Any) -> None:
    sessions = Sessions(redis, slots=2, each=2)
    for name in ("ended", "a", "b"):
        await sessions.enter(name, f"user of {name}")
    await sessions.leave("ended")
    assert (await sessions.enter_again("ended", "user of ended")).position == 1, "b waits for it"
    await sessions.promote()
    assert (await sessions.enter_again("ended", "user of ended")).position == 1
    assert await sessions.waiting() == []
    await sessions.leave("a")
    for _ in range(2):
        assert (await sessions.enter_again("ended", "user of ended")).position == 0
    assert set(await sessions.active()) == {"b", "ended"}


async def test_a_user_has_no_more_at_once_by_asking_in_those_that_have_ended(redis: Any) -> None:
    sessions = Sessions(redis, each=1)
    await sessions.enter("ended", "ada")
    await sessions.leave("ended")
    await sessions.enter("other", "ada")
    assert await sessions.enter_again("ended", "ada") == Entry(position=-1, held=1)
