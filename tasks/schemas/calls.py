"""What a stage asks of a model, and what it gets back."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel

from tasks.schemas.frozen import Frozen

Reply = TypeVar("Reply", bound=BaseModel)


class Message(Frozen):
    """One chat message; `image` is a data URL for vision models (`data:image/jpeg;base64,…`)."""

    role: Literal["system", "user", "assistant"]
    content: str
    image: str | None = None


@dataclass(frozen=True, kw_only=True)
class StructuredCall(Generic[Reply]):
    """One logical model call whose reply must be valid for `reply`.

    `name` is unique within its step (`core`, `examples.1`): it is part of the idempotency key.
    `task` chooses between a provider's chat model and its model for tools (searches and the like).
    `cache` says whether the reply may be shared with those who ask the same; None leaves it to the
    temperature (0 may). `model` is asked instead of the task's own; `search` is what the
    provider is to look up on the web first.
    """

    name: str
    messages: tuple[Message, ...]
    reply: type[Reply]
    temperature: float = 0.8
    max_tokens: int = 1500
    task: Literal["chat", "tool"] = "chat"
    cache: bool | None = None
    model: str = ""
    search: str = ""


class Ask(Protocol):
    """Sends one structured call through ledger, gate and client; hands back the parsed reply."""

    def __call__(self, call: "StructuredCall[Reply]", /) -> Awaitable[Reply]: ...


class CallUsage(Frozen):
    """What calls cost: counts, tokens, US dollars, seconds of provider time."""

    model: str = ""
    made: int = 0
    retried: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: "CallUsage") -> "CallUsage":
        return CallUsage(
            model=other.model or self.model,
            made=self.made + other.made,
            retried=self.retried + other.retried,
            cached=self.cached + other.cached,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cost_usd=self.cost_usd + other.cost_usd,
            seconds=self.seconds + other.seconds,
        )
