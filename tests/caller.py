"""Makes model calls as a worker does, through a gate in memory, with pauses of no length."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from tasks.errors import CastlineError
from tasks.gate.gate import Gate
from tasks.gate.in_memory import MemoryRules
from tasks.llm.completer import Completer
from tasks.llm.providers import Fallback, Provider, gate_limits
from tasks.llm.scope import CallScope
from tasks.llm.structured import ask_structured
from tasks.presets import DialectName, Structured
from tasks.schemas.calls import Message, Reply, StructuredCall
from tasks.schemas.completion import ChatRequest, Completion, StreamEvent
from tasks.schemas.limits import GateState, Limits
from tasks.turns import Turns


def provider_at(
    url: str,
    *fallbacks: Fallback,
    name: str = "acme",
    key: str = "k",
    dialect: DialectName = "openai",
    structured: Structured = "json_schema",
) -> Provider:
    """Describe a provider on loopback."""
    return Provider(
        name=name,
        base_url=url,
        api_key=SecretStr(key),
        model="m-1",
        vision_model="eyes",
        limits=Limits(breaker_failures=5),
        timeout_s=5,
        structured=structured,
        dialect=dialect,
        fallbacks=fallbacks,
        key_setting="ACME_API_KEY",
    )


class Caller:
    """Makes calls as a worker does, with pauses of no length."""

    def __init__(self, provider: Provider) -> None:
        self.gate = Gate(MemoryRules(), gate_limits(provider))
        self.completer = Completer(provider, self.gate, retry_scale=0)

    async def call(self, *messages: Message, max_tokens: int = 10) -> Completion:
        """Make one logical call."""
        request = ChatRequest(
            messages=messages or (Message(role="user", content="hi"),),
            model=self.completer.provider.model,
            temperature=0,
            max_tokens=max_tokens,
        )
        return await self.completer.complete(request, key="k", scope=CallScope(key="s"))

    async def streamed(self) -> tuple[str, list[StreamEvent]]:
        """Make one logical call whose text is read while it is written."""
        request = ChatRequest(
            messages=(Message(role="user", content="hi"),),
            model=self.completer.provider.model,
            temperature=0,
            max_tokens=400,
        )
        stream = self.completer.stream(request, key="k", scope=CallScope(key="s"))
        events = [event async for event in stream]
        return "".join(event.text for event in events), events

    async def ask(self, call: StructuredCall[Reply]) -> Reply:
        """Make one structured call."""
        return await ask_structured(self.completer, call, CallScope(key="s"), turns=Turns())

    async def failure(self) -> CastlineError:
        """Make one logical call that fails."""
        with pytest.raises(CastlineError) as caught:
            await self.call()
        return caught.value

    async def state(self) -> GateState:
        """Look at the gate, once all has been returned to it."""
        await self.gate.announce()
        return await self.gate.state(self.completer.provider.name)


@asynccontextmanager
async def calling(provider: Provider) -> AsyncIterator[Caller]:
    """Close the caller in the end."""
    caller = Caller(provider)
    try:
        yield caller
    finally:
        await caller.completer.close()
        await caller.gate.close()
