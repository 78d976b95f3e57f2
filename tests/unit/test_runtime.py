"""What a worker process holds for its tasks."""

from collections.abc import Iterator

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from tasks.deps import Deps
from tasks.errors import NoMemoryError, RedisAwayError
from tasks.portal import Portal
from tasks.runtime import Runtime


@pytest.fixture
def portal() -> Iterator[Portal]:
    """A loop of its own."""
    opened = Portal()
    yield opened
    opened.close()


def test_a_step_without_memory_ends_as_an_error_that_celery_survives(portal: Portal) -> None:
    async def step(_: Deps) -> None:
        raise MemoryError("32 GiB")

    runtime = Runtime(portal, deps=None)  # type: ignore[arg-type]  # the step asks for nothing
    with pytest.raises(NoMemoryError) as caught:
        runtime.run(step)
    assert not isinstance(caught.value, MemoryError)


def test_redis_away_is_said_in_our_own_words(portal: Portal) -> None:
    async def step(_: Deps) -> None:
        raise RedisConnectionError("Error 111 connecting to 127.0.0.1:6379")

    runtime = Runtime(portal, deps=None)  # type: ignore[arg-type]  # the step asks for nothing
    with pytest.raises(RedisAwayError, match="Redis is away"):
        runtime.run(step)
