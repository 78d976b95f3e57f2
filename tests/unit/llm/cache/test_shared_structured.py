"""Structured calls that share their replies: a bad reply costs everybody one re-ask, once."""

import asyncio

import pytest
from pydantic import BaseModel

from tasks.llm.cache.memory import MemoryShelf
from tasks.llm.scope import CallScope, CallTally
from tasks.llm.structured import ask_structured
from tasks.schemas.calls import CallUsage, Message, StructuredCall
from tasks.schemas.completion import ChatRequest, Completion
from tasks.turns import Turns
from tests.contracts.cache import PROVIDER, process, reply


class Cat(BaseModel):
    """A reply."""

    name: str


class Improving:
    """A completer whose first answer to a question never fits and whose second does."""

    provider = PROVIDER

    def __init__(self) -> None:
        self.made = 0

    async def complete(self, request: ChatRequest, *, key: str, scope: CallScope) -> Completion:
        self.made += 1
        scope.tally.attempt(again=False)
        await asyncio.sleep(0)
        return reply('{"name": "Mio"}' if len(request.messages) > 1 else "no cat")

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.anyio
async def test_a_reply_that_does_not_fit_is_asked_again_once_for_all_and_is_not_kept() -> None:
    calls = Improving()
    caching = process(MemoryShelf(), calls)
    call = StructuredCall(
        name="cat", messages=(Message(role="user", content="?"),), reply=Cat, temperature=0
    )

    async def one() -> CallUsage:
        tally = CallTally()
        scope = CallScope(key="s", tally=tally)
        assert await ask_structured(caching, call, scope, turns=Turns()) == Cat(name="Mio")
        return tally.usage

    usages = await asyncio.gather(*(one() for _ in range(10)))
    assert calls.made == sum(usage.made for usage in usages) == 2
    assert sum(usage.cached for usage in usages) == 18
    later = await one()
    assert (later.made, later.cached) == (1, 1)
