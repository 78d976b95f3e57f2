"""Checks what a caller of the client gives, and builds the request; sends nothing.

The messages name the argument and never repeat a prompt.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from tasks.errors import BadInputError
from tasks.llm.combined import Small
from tasks.llm.providers import Provider
from tasks.schemas.calls import Message
from tasks.schemas.completion import ChatRequest

HOTTEST = 2.0
LIKE_THIS = '[{"role": "user", "content": "Hello"}]'

Messages = Sequence[Message | Mapping[str, Any]]


@dataclass(frozen=True)
class Question:
    """One item of a batch: a prompt or a conversation; None takes the batch's own value."""

    prompt: str | Messages
    system_prompt: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None


Item = str | Messages | Question


def question_of(item: Item, default: Question) -> Question:
    """Fill an item up from the batch's own values."""
    if not isinstance(item, Question):
        return replace(default, prompt=item)
    return Question(
        prompt=item.prompt,
        system_prompt=default.system_prompt if item.system_prompt is None else item.system_prompt,
        temperature=default.temperature if item.temperature is None else item.temperature,
        max_tokens=default.max_tokens if item.max_tokens is None else item.max_tokens,
    )


def request_of(provider: Provider, question: Question) -> ChatRequest:
    """Build a question's request. Raises BadInputError that names the argument."""
    given = question.prompt
    messages = (
        prompt_messages(given, question.system_prompt)
        if isinstance(given, str) or given is None
        else context_messages(given, question.system_prompt)
    )
    sees = any(message.image for message in messages)
    if sees and not provider.vision_model:
        raise BadInputError(
            f"messages: provider {provider.name!r} has no vision model for the picture",
            hint="set CASTLINE_LLM_VISION_MODEL, or leave the picture out",
        )
    return ChatRequest(
        messages=messages,
        model=provider.vision_model if sees else provider.model,
        temperature=checked_temperature(question.temperature),
        max_tokens=checked_count(question.max_tokens, name="max_tokens"),
    )


def prompt_messages(prompt: str, system_prompt: str | None = None) -> tuple[Message, ...]:
    """Make messages of a prompt. Raises BadInputError."""
    if not isinstance(prompt, str) or not prompt.strip():
        raise BadInputError("prompt: it is empty, or no text", hint="give a text to answer")
    return (*system_message(system_prompt), Message(role="user", content=prompt))


def system_message(system_prompt: str | None) -> tuple[Message, ...]:
    """Make the message that goes before the others, if there is one. Raises BadInputError."""
    if system_prompt is not None and not isinstance(system_prompt, str):
        raise BadInputError("system_prompt: it is no text", hint="give a text, or None")
    return (Message(role="system", content=system_prompt),) if system_prompt else ()


def context_messages(messages: Messages, system_prompt: str | None = None) -> tuple[Message, ...]:
    """Read a conversation. Raises BadInputError that names the message and its field."""
    if isinstance(messages, str | Mapping) or not isinstance(messages, Sequence):
        raise BadInputError("messages: it is no list of messages", hint=f"like {LIKE_THIS}")
    if not messages:
        raise BadInputError("messages: the list is empty", hint=f"like {LIKE_THIS}")
    read = (message_of(given, at=at) for at, given in enumerate(messages))
    return (*system_message(system_prompt), *read)


def message_of(given: Message | Mapping[str, Any], *, at: int) -> Message:
    """Read one message."""
    if isinstance(given, Message):
        return given
    if not isinstance(given, Mapping):
        raise BadInputError(f"messages[{at}]: it is no message", hint=f"like {LIKE_THIS}")
    try:
        return Message.model_validate(dict(given))
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(part) for part in wrong["loc"])
        raise BadInputError(
            f"messages[{at}].{field}: {wrong['msg']}", hint=f"like {LIKE_THIS}"
        ) from None


def small_of(prompt: str, max_tokens: int) -> Small:
    """Build a small question. Raises BadInputError that names the argument."""
    (message,) = prompt_messages(prompt)
    return Small(prompt=message.content, max_tokens=checked_count(max_tokens, name="max_tokens"))


def checked_temperature(temperature: Any) -> float:
    """Refuse what is no temperature. Raises BadInputError."""
    number = isinstance(temperature, int | float) and not isinstance(temperature, bool)
    if not number or not math.isfinite(temperature) or not 0 <= temperature <= HOTTEST:
        raise BadInputError(
            f"temperature: {temperature!r} is not between 0 and {HOTTEST:g}",
            hint="0 is the most predictable",
        )
    return float(temperature)


def checked_count(count: Any, *, name: str) -> int:
    """Refuse what is no number of things. Raises BadInputError."""
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise BadInputError(f"{name}: {count!r} is not a whole number from 1", hint=f"{name}=10")
    return count
