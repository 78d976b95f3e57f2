"""The messages dialect's own shapes: system, turns, pictures, tools, endings, usage."""

from typing import Any

import pytest

from tasks.errors import BadReplyError
from tasks.llm.anthropic_dialect import AnthropicDialect
from tasks.schemas.calls import Message
from tasks.schemas.completion import ChatRequest, Completion

ANTHROPIC = AnthropicDialect()


def body(*messages: Message, **changes: Any) -> dict[str, Any]:
    """Build a body."""
    request = ChatRequest(messages=messages, model="m", temperature=1.3, max_tokens=9, **changes)
    return ANTHROPIC.body(request, "json_schema")


def read(**members: Any) -> Completion:
    """Read a message."""
    content = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    payload = {"content": content, "stop_reason": "end_turn", "model": "m-2", **members}
    return ANTHROPIC.completion(payload, asked_model="m")


def test_system_messages_go_on_top_and_turns_of_one_role_together() -> None:
    built = body(
        Message(role="system", content="one"),
        Message(role="user", content="a"),
        Message(role="system", content="two"),
        Message(role="user", content="b"),
        Message(role="assistant", content="c"),
    )
    assert built["system"] == "one\n\ntwo"
    assert [turn["role"] for turn in built["messages"]] == ["user", "assistant"]
    assert [block["text"] for block in built["messages"][0]["content"]] == ["a", "b"]


def test_the_temperature_stays_within_what_is_allowed() -> None:
    assert body(Message(role="user", content="a"))["temperature"] == 1.0


def test_a_data_url_becomes_a_base64_block_before_the_text() -> None:
    url = "data:image/jpeg;base64,QUJD"
    built = body(Message(role="user", content="who?", image=url))
    picture, text = built["messages"][0]["content"]
    source = {"type": "base64", "media_type": "image/jpeg", "data": "QUJD"}
    assert picture == {"type": "image", "source": source}
    assert text["text"] == "who?"


def test_a_schema_is_a_tool_that_must_be_used() -> None:
    schema = {"type": "object"}
    built = body(Message(role="user", content="a"), schema_name="Cat", schema_body=schema)
    assert built["tools"][0]["input_schema"] == schema
    assert built["tool_choice"] == {"type": "tool", "name": "Cat"}


def test_a_tools_input_is_the_reply() -> None:
    block = {"type": "tool_use", "id": "1", "name": "Cat", "input": {"name": "Mio"}}
    done = read(content=[{"type": "text", "text": "Here:"}, block], stop_reason="tool_use")
    assert (done.text, done.finish_reason) == ('{"name": "Mio"}', "stop")


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [("end_turn", "stop"), ("max_tokens", "length"), ("refusal", "refusal"), (None, "stop")],
)
def test_every_ending_has_its_name(stop_reason: str | None, finish_reason: str) -> None:
    assert read(stop_reason=stop_reason).finish_reason == finish_reason


def test_tokens_read_from_a_cache_are_counted() -> None:
    usage = {"input_tokens": 1, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 4,
             "output_tokens": 8}  # fmt: skip
    done = read(usage=usage)
    assert (done.text, done.prompt_tokens, done.completion_tokens) == ("ab", 7, 8)


@pytest.mark.parametrize("payload", [[], {}, {"content": None}, {"content": [{}]}, "x", None])
def test_what_is_no_message_is_a_bad_reply(payload: Any) -> None:
    with pytest.raises(BadReplyError):
        ANTHROPIC.completion(payload, asked_model="m")


def test_without_a_key_only_the_version_is_named() -> None:
    assert dict(ANTHROPIC.headers("")) == {"anthropic-version": "2023-06-01"}
    assert ANTHROPIC.headers("k")["x-api-key"] == "k"
