"""Replies become documents, or errors that tell why."""

import pytest
from pydantic import BaseModel, ConfigDict

from tasks.errors import BadReplyError, FilteredReplyError, TruncatedReplyError
from tasks.llm.structured import idempotency_key, parse
from tasks.schemas.completion import Completion


class Cat(BaseModel):
    """A reply."""

    model_config = ConfigDict(extra="forbid")
    name: str
    lives: int


def completion(text: str, finish_reason: str = "stop") -> Completion:
    """Build a completion."""
    return Completion(
        text=text, finish_reason=finish_reason, model="m", prompt_tokens=1, completion_tokens=1
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Mio", "lives": 9}',
        '```json\n{"name": "Mio", "lives": 9}\n```',
        '{"name": "Mio", "lives": 9,}',
        "{'name': 'Mio', 'lives': 9}",
    ],
)
def test_a_reply_is_read_even_when_its_json_is_a_little_damaged(text: str) -> None:
    assert parse(completion(text), Cat) == Cat(name="Mio", lives=9)


@pytest.mark.parametrize("text", ["", "   ", "no", "{}", '{"name": "Mio"}', "[1, 2]"])
def test_a_reply_that_does_not_fit_is_an_error(text: str) -> None:
    with pytest.raises(BadReplyError):
        parse(completion(text), Cat)


def test_the_error_names_fields_and_never_values() -> None:
    with pytest.raises(BadReplyError) as caught:
        parse(completion('{"name": "Mio", "lives": "secret"}'), Cat)
    assert "lives" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_truncated_reply_is_never_mended() -> None:
    with pytest.raises(TruncatedReplyError):
        parse(completion('{"name": "Mio", "lives": 9}', "length"), Cat)


def test_a_filtered_reply_says_so() -> None:
    with pytest.raises(FilteredReplyError, match="content filter"):
        parse(completion("", "content_filter"), Cat)


def test_the_idempotency_key_differs_by_step_call_and_ask_and_by_nothing_else() -> None:
    keys = {idempotency_key(s, n, a) for s in "ab" for n in "xy" for a in (0, 1)}
    assert len(keys) == 8
    assert idempotency_key("a", "x", 0) == idempotency_key("a", "x", 0)
