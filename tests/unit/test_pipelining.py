"""Commands of many coroutines leave together and come back to their own askers."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis
from redis.exceptions import ResponseError

from tasks.pipelining import Pipelining, Script

pytestmark = pytest.mark.anyio


@pytest.fixture
async def redis(anyio_backend: str) -> AsyncIterator[Any]:
    """Open an empty in-memory Redis."""
    client = FakeAsyncRedis(decode_responses=True)
    yield client
    await client.aclose()


class Counting:
    """A client that counts its pipelines, and loses its connection when told to."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self.pipelines = 0
        self.lost = False

    def pipeline(self, **options: Any) -> Any:
        if self.lost:
            raise ConnectionError("cut")
        self.pipelines += 1
        return self._redis.pipeline(**options)


async def test_what_is_asked_in_one_turn_is_one_pipeline_and_everybody_gets_his_answer(
    redis: Any,
) -> None:
    counting = Counting(redis)
    pipelining = Pipelining(counting)
    await asyncio.gather(*(pipelining.send("SET", f"k{i}", i) for i in range(50)))
    answers = await asyncio.gather(*(pipelining.send("GET", f"k{i}") for i in range(50)))
    assert answers == [str(i) for i in range(50)]
    assert counting.pipelines == 2


async def test_one_failing_command_fails_only_its_asker(redis: Any) -> None:
    pipelining = Pipelining(redis)
    await pipelining.send("SET", "text", "x")
    good, bad, also = await asyncio.gather(
        pipelining.send("GET", "text"),
        pipelining.send("INCR", "text"),
        pipelining.send("STRLEN", "text"),
        return_exceptions=True,
    )
    assert (good, also) == ("x", 1)
    assert isinstance(bad, ResponseError)


async def test_a_lost_connection_reaches_everybody_and_the_next_one_works(redis: Any) -> None:
    counting = Counting(redis)
    pipelining = Pipelining(counting)
    counting.lost = True
    lost = await asyncio.gather(
        pipelining.send("PING"), pipelining.send("PING"), return_exceptions=True
    )
    assert [type(error) for error in lost] == [ConnectionError, ConnectionError]
    counting.lost = False
    assert await pipelining.send("ECHO", "back") == "back"


async def test_a_cancelled_asker_disturbs_nobody(redis: Any) -> None:
    pipelining = Pipelining(redis)
    gone = asyncio.ensure_future(pipelining.send("SET", "a", "1"))
    stays = asyncio.ensure_future(pipelining.send("ECHO", "here"))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == "here"


async def test_a_script_that_redis_forgot_is_loaded_again(redis: Any) -> None:
    script = Script(Pipelining(redis), "return {KEYS[1], ARGV[1]}")
    assert await script(["k"], ["v"]) == ["k", "v"]
    await redis.script_flush()
    assert await script(["k"], ["w"]) == ["k", "w"]
