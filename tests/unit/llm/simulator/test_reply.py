"""The same request and seed get the same reply, of the asked form."""

import json
from typing import Any

from tasks.llm.simulator.reply import Reply, almost_json, cut_short, reply_to
from tasks.llm.simulator.request import ChatRequest, chat_request
from tasks.llm.simulator.tokens import tokens_of

_SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "summary": {"type": "string"}},
    "required": ["name", "summary"],
}


def asked(text: str, **members: Any) -> ChatRequest:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **members}
    return chat_request(json.dumps(body).encode(), vision=True)


def structured(text: str, schema: Any = _SCHEMA, **members: Any) -> ChatRequest:
    described = {"name": "x", "schema": schema, "strict": True}
    form = {"type": "json_schema", "json_schema": described}
    return asked(text, response_format=form, **members)


def test_the_reply_depends_on_the_request_and_the_seed_alone() -> None:
    request = structured("A brief.")
    first = reply_to(request, seed=1)
    assert first == reply_to(structured("A brief."), seed=1)
    assert first != reply_to(request, seed=2)
    assert first != reply_to(structured("Another brief."), seed=1)
    assert first != reply_to(structured("A brief.", model="other"), seed=1)
    assert first == reply_to(structured("A brief.", temperature=0.3), seed=1)


def test_a_structured_reply_is_json_with_the_schemas_properties() -> None:
    reply = reply_to(structured("用中文写。\nmarker: ZEBRA"), seed=1)
    value = json.loads(reply.content)
    assert set(value) == {"name", "summary"}
    assert not value["name"].isascii()
    assert "ZEBRA" in value["summary"]
    assert (reply.finish_reason, reply.completion_tokens) == ("stop", tokens_of(reply.content))


def test_a_json_object_is_answered_with_some_object() -> None:
    reply = reply_to(asked("Answer in json.", response_format={"type": "json_object"}), seed=1)
    assert isinstance(json.loads(reply.content), dict)


def test_a_schema_spelled_out_in_the_prompt_is_followed() -> None:
    text = f"Reply with JSON for this schema: {json.dumps(_SCHEMA)}"
    assert set(json.loads(reply_to(asked(text), seed=1).content)) == {"name", "summary"}


def test_a_plain_reply_is_a_readable_paragraph_about_the_topic() -> None:
    assert "night trains" in reply_to(asked("topic: night trains"), seed=1).content
    paragraph = reply_to(asked("Hello"), seed=1).content
    assert paragraph.endswith(".")
    assert paragraph.count(" ") > 10


def test_a_reply_above_max_tokens_stops_there_and_says_so() -> None:
    reply = reply_to(structured("A brief.", max_tokens=5), seed=1)
    assert (reply.finish_reason, reply.completion_tokens, len(reply.content)) == ("length", 5, 20)


def test_almost_json_is_no_json_and_a_cut_reply_is_half() -> None:
    for content in ('{"a": "bc"}', '{"a": "bcd"}', '["x"]'):
        reply = Reply(content, "stop", 3)
        spoiled = almost_json(reply).content
        assert not _is_json(spoiled), spoiled
    assert cut_short(reply).finish_reason == "length"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
