"""The cache's contracts on memory and on fakeredis, and what is special to Redis."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis

from tasks.llm.cache.caching import CachingCompleter
from tasks.llm.cache.memory import MOST_ENTRIES, MemoryShelf
from tasks.llm.cache.shared import RedisShelf
from tasks.llm.cache.shelf import Shelf
from tests.contracts.cache import CachingContract, Calls, ShelfContract, ask, process, reply


@pytest.fixture
async def redis(anyio_backend: str) -> AsyncIterator[Any]:
    """Open an empty in-memory Redis."""
    client = FakeAsyncRedis(decode_responses=True)
    yield client
    await client.aclose()


class OnMemory:
    """Gives the shelf without Redis."""

    @pytest.fixture
    def shelf(self, anyio_backend: str) -> Shelf:
        return MemoryShelf()


class OnFakeredis:
    """Gives the shelf in Redis."""

    @pytest.fixture
    def shelf(self, redis: Any) -> Shelf:
        return RedisShelf(redis)


class TestShelfInMemory(OnMemory, ShelfContract):
    """All of it."""


class TestCachingInMemory(OnMemory, CachingContract):
    """All of it."""


class TestShelfOnFakeredis(OnFakeredis, ShelfContract):
    """All of it."""


class TestCachingOnFakeredis(OnFakeredis, CachingContract):
    """All of it."""


@pytest.mark.anyio
async def test_no_key_tells_what_was_asked_and_every_key_expires(redis: Any) -> None:
    await ask(process(RedisShelf(redis), Calls(reply())))
    [key] = await redis.keys("*")
    assert key.startswith("castline:cache:")
    assert "secret" not in key
    assert "secret" not in str(await redis.hgetall(key))
    assert 0 < await redis.pttl(key) <= 600_000


@pytest.mark.anyio
async def test_without_redis_calls_go_on_and_the_log_says_so_once(
    redis: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def cut(**_: Any) -> Any:
        raise ConnectionError("cut")

    working, redis.pipeline = redis.pipeline, cut
    calls = Calls(reply())
    caching = process(RedisShelf(redis), calls)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert (await ask(caching))[0].text == "yes"
    assert calls.made == 3
    assert caplog.text.count("without the response cache") == 1
    redis.pipeline = working
    await ask(caching)
    assert (await ask(caching))[1].cached == 1


@pytest.mark.anyio
async def test_a_completer_without_a_shelf_shares_nothing() -> None:
    calls = Calls(reply())
    caching = CachingCompleter(calls, None)
    await ask(caching)
    await ask(caching)
    assert calls.made == 2


@pytest.mark.anyio
async def test_the_memory_shelf_forgets_the_oldest_first() -> None:
    shelf = MemoryShelf()
    for number in range(MOST_ENTRIES + 1):
        await shelf.ask(str(number), token="a", waited_for="", lease_s=30)
    assert (await shelf.ask("1", token="b", waited_for="", lease_s=30)).verdict == "wait"
    assert (await shelf.ask("0", token="b", waited_for="", lease_s=30)).verdict == "lead"
