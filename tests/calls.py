"""Makes model calls to real servers on loopback, through a gate in this process."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

from anyio.from_thread import start_blocking_portal
from pydantic import SecretStr

from tasks.gate.gate import Gate
from tasks.gate.in_memory import MemoryRules
from tasks.llm.completer import Completer
from tasks.llm.providers import Provider, gate_limits
from tasks.llm.scope import CallScope
from tasks.llm.simulator.options import SimulatorOptions
from tasks.llm.simulator.server import running
from tasks.schemas.calls import Message
from tasks.schemas.completion import ChatRequest, StreamEvent
from tasks.schemas.limits import Limits


def provider_at(base_url: str, **changes: Any) -> Provider:
    """Describe the provider at an address."""
    given: dict[str, Any] = {
        "name": "p",
        "base_url": base_url,
        "api_key": SecretStr(""),
        "model": "m",
        "vision_model": "",
        "limits": Limits(slots=4),
        "timeout_s": 10.0,
        "structured": "json_schema",
    }
    return Provider(**(given | changes))


class Caller:
    """A completer with its gate."""

    def __init__(self, completer: Completer, gate: Gate) -> None:
        self.completer = completer
        self.gate = gate

    async def complete(self, text: str = "Hi", **scope: Any) -> str:
        """Make one call."""
        done = await self.completer.complete(request(text), key=text, scope=scope_of(**scope))
        return done.text

    def stream(self, text: str = "Hi", **scope: Any) -> AsyncGenerator[StreamEvent, None]:
        """Make one call that is streamed."""
        return self.completer.stream(request(text), key=text, scope=scope_of(**scope))

    async def slots_in_use(self) -> int:
        """Count what is held once everything under way to the gate has arrived there."""
        granted = await self.gate.try_acquire("p")
        await self.gate.settle(granted)  # type: ignore[arg-type]
        return (await self.gate.state("p")).slots_in_use


def request(text: str) -> ChatRequest:
    """Ask one thing."""
    message = Message(role="user", content=text)
    return ChatRequest(messages=(message,), model="m", temperature=0, max_tokens=64)


def scope_of(**scope: Any) -> CallScope:
    """Describe where a call belongs."""
    return CallScope(**{"key": "k", **scope})


@contextlib.asynccontextmanager
async def caller_of(provider: Provider, **options: Any) -> AsyncIterator[Caller]:
    """Open a completer whose pauses are a hundredth as long."""
    gate = Gate(MemoryRules(), gate_limits(provider))
    completer = Completer(provider, gate, **{"retry_scale": 0.01, **options})
    try:
        yield Caller(completer, gate)
    finally:
        await completer.close()
        await gate.close()


@contextlib.asynccontextmanager
async def simulated(changes: dict[str, Any] | None = None, **options: Any) -> AsyncIterator[Caller]:
    """Open a completer on a simulated provider with these options."""
    given = SimulatorOptions.model_validate({"latency_s": 0, **options})
    async with (
        running(given) as base_url,
        caller_of(provider_at(base_url, **(changes or {}))) as it,
    ):
        yield it


@contextlib.contextmanager
def simulated_server(**options: Any) -> Iterator[str]:
    """Run a simulated provider on a thread of its own; gives its base URL."""
    given = SimulatorOptions.model_validate({"latency_s": 0, **options})
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(running(given)) as base_url,
    ):
        yield base_url
