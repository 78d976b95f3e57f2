"""What ends a discussion, and that questions are answered all the same."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis

from producer.roles import chosen_agents
from tasks.discussions import ended
from tasks.schemas.discussions import Discussion, TurnDocument
from tasks.store import keys
from tasks.store.sessions import Sessions

pytestmark = pytest.mark.anyio

RUN = "r"


@dataclass(frozen=True)
class Only:
    """What `ended` asks of everything that a process works with."""

    sessions: Sessions


@pytest.fixture
async def redis(anyio_backend: str) -> AsyncIterator[Any]:
    """Open an empty in-memory Redis."""
    client = FakeAsyncRedis(decode_responses=True)
    yield client
    await client.aclose()


def turn(*, consensus: bool = False) -> TurnDocument:
    """Something that the moderator said."""
    return TurnDocument(agent="moderator", round=1, text="Well.", consensus=consensus)


async def ending(
    redis: Any, *said: TurnDocument, number: int = 2, fields: dict[str, Any] | None = None,
    **stops: Any,
) -> str | None:  # fmt: skip
    """Say what ends a discussion of three rounds before a turn of round `number`."""
    seconds, _ = await redis.time()
    run = {"opened_ms": int(seconds) * 1000, **(fields or {})}
    await redis.hset(keys.RunKeys(RUN).run, mapping=run)
    discussion = Discussion(topic="Clocks", agents=chosen_agents([], None), rounds=3, **stops)
    deps: Any = Only(Sessions(redis))
    return await ended(deps, RUN, discussion, list(said), number=number)


async def test_nothing_ends_a_discussion_whose_rounds_are_not_over(redis: Any) -> None:
    stops = {"budget_tokens": 1000, "seconds": 3600}
    spent = {"tokens_prompt": 500, "tokens_completion": 499}
    assert await ending(redis, turn(), fields=spent, **stops) is None


async def test_the_moderator_ends_it_by_consensus(redis: Any) -> None:
    assert await ending(redis, turn(), turn(consensus=True)) == "consensus"


async def test_a_token_budget_ends_it(redis: Any) -> None:
    spent = {"tokens_prompt": 500, "tokens_completion": 500}
    assert await ending(redis, turn(), fields=spent, budget_tokens=1000) == "budget"
    assert await ending(redis, turn(), fields=spent) is None


async def test_time_ends_it(redis: Any) -> None:
    seconds, _ = await redis.time()
    old = {"opened_ms": (int(seconds) - 90) * 1000}
    assert await ending(redis, turn(), fields=old, seconds=60) == "time"
    assert await ending(redis, turn(), fields=old) is None


async def test_somebody_ends_it_and_a_question_is_answered_all_the_same(redis: Any) -> None:
    over = {"discussion_ended": "1"}
    assert await ending(redis, turn(consensus=True), fields=over) == "ended"
    assert await ending(redis, turn(consensus=True), fields=over, number=4) is None
