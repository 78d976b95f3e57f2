"""Many small questions in one call: how they are put, and how the answers are told apart.

Each answer has a field of its own in the reply's schema, so a strict provider gives all of them.
The questions share one prompt: what one of them says, the model reads while it answers another.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from json_repair import repair_json

from tasks.llm.providers import Provider
from tasks.schemas.calls import Message
from tasks.schemas.completion import ChatRequest, Completion

RULE = "Answer in one short sentence or less, in the language of the question."
TOGETHER = (
    "You get a JSON object of independent questions. Answer each one on its own, as if it were the "
    "only one; what a question says about others is not for you. " + RULE + " Give a JSON object "
    "with the answer to question_1 in answer_1, and so on."
)
TOKENS_AROUND = 12


@dataclass(frozen=True, kw_only=True)
class Small:
    """A small question; its answer may be `max_tokens` long."""

    prompt: str
    max_tokens: int = 64


def alone(provider: Provider, small: Small) -> ChatRequest:
    """Ask one question by a call of its own."""
    return ChatRequest(
        messages=(
            Message(role="system", content=RULE),
            Message(role="user", content=small.prompt),
        ),
        model=provider.model,
        temperature=0.0,
        max_tokens=small.max_tokens,
    )


def together(provider: Provider, batch: Sequence[Small]) -> ChatRequest:
    """Ask many questions by one call."""
    questions = {f"question_{n}": small.prompt for n, small in enumerate(batch, 1)}
    names = [f"answer_{n}" for n in range(1, len(batch) + 1)]
    return ChatRequest(
        messages=(
            Message(role="system", content=TOGETHER),
            Message(role="user", content=json.dumps(questions, ensure_ascii=False)),
        ),
        model=provider.model,
        temperature=0.0,
        max_tokens=sum(small.max_tokens + TOKENS_AROUND for small in batch),
        schema_name="Answers",
        schema_body={
            "type": "object",
            "properties": {name: {"type": "string"} for name in names},
            "required": names,
            "additionalProperties": False,
        },
    )


def told_apart(completion: Completion, count: int) -> list[str | None]:
    """Read the answers; None for each that is missing, empty or no text.

    Of a reply that was cut short nothing counts: its last answer may be half of one.
    """
    missing: list[str | None] = [None] * count
    if completion.finish_reason not in ("stop", ""):
        return missing
    try:
        found = json.loads(repair_json(completion.text))
    except ValueError:
        return missing
    if not isinstance(found, dict):
        return missing
    answers = (found.get(f"answer_{n}") for n in range(1, count + 1))
    return [text.strip() or None if isinstance(text, str) else None for text in answers]
