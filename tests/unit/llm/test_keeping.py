"""A step that makes several calls pays none of them again when its worker dies in between."""

import asyncio

import pytest
from fakeredis import FakeAsyncRedis

from tasks.errors import ProviderDownError
from tasks.llm.keeping import KeepingCompleter
from tasks.llm.providers import simulated_provider
from tasks.llm.scope import CallScope, CallTally
from tasks.schemas.calls import Message
from tasks.schemas.completion import ChatRequest, Completion
from tasks.store import keys
from tasks.store.answers import StepAnswers

pytestmark = pytest.mark.anyio
STEP = "p0.knowledge"
REQUEST = ChatRequest(
    messages=(Message(role="user", content="?"),), model="m", temperature=0.7, max_tokens=9
)


class Model:
    """Answers each call with its key once it may; `paid` are the calls that it has answered."""

    def __init__(self, *, dies_at: str = "") -> None:
        self.provider = simulated_provider("http://127.0.0.1:1/v1", slots=1)
        self.paid: list[str] = []
        self._dies_at = dies_at

    async def complete(self, request: ChatRequest, *, key: str, scope: CallScope) -> Completion:
        await asyncio.sleep(0)
        if key == self._dies_at:
            raise ProviderDownError("gone")
        self.paid.append(key)
        scope.tally.attempt(again=False)
        return Completion(
            text=key, finish_reason="stop", model="m", prompt_tokens=5, completion_tokens=2
        )


async def ask(
    redis: FakeAsyncRedis, model: Model, *wanted: str, resumed: bool = False
) -> CallTally:
    """Make a step's calls one after another, as one holder of the step."""
    tally = CallTally(resumed=resumed)
    completer = KeepingCompleter(model, StepAnswers(redis, "r", STEP))
    scope = CallScope(key="s", tally=tally)
    for key in wanted:
        assert (await completer.complete(REQUEST, key=key, scope=scope)).text == key
    return tally


async def test_what_was_answered_before_a_death_is_not_asked_again() -> None:
    redis = FakeAsyncRedis(decode_responses=True)
    with pytest.raises(ProviderDownError):
        await ask(redis, Model(dies_at="c"), "a", "b", "c")
    second = Model()
    tally = await ask(redis, second, "a", "b", "c", resumed=True)
    assert second.paid == ["c"]
    assert (tally.made, tally.cached, tally.model, tally.kept) == (1, 2, "m", True)
    await StepAnswers(redis, "r", STEP).forget()
    assert await redis.keys("*") == []


async def test_calls_side_by_side_are_kept_as_each_is_answered() -> None:
    redis = FakeAsyncRedis(decode_responses=True)
    completer = KeepingCompleter(Model(dies_at="b"), StepAnswers(redis, "r", STEP))
    scope = CallScope(key="s", tally=CallTally())
    calls = [completer.complete(REQUEST, key=key, scope=scope) for key in ("a", "b", "c")]
    await asyncio.gather(*calls, return_exceptions=True)
    assert set(await StepAnswers(redis, "r", STEP).load()) == {"a", "c"}


async def test_a_step_with_one_call_keeps_nothing_and_what_is_kept_expires() -> None:
    redis = FakeAsyncRedis(decode_responses=True)
    tally = await ask(redis, Model(), "a")
    assert await redis.keys("*") == []
    assert not tally.kept
    await ask(redis, Model(), "a", "b")
    assert 0 < await redis.ttl(keys.answers("r", STEP)) <= 6 * 3600
