"""Requests are checked as a provider checks them."""

import json
from typing import Any

import pytest

from tasks.llm.simulator.request import BadRequestError, ChatRequest, chat_request

_PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def asked(*, vision: bool = True, **members: Any) -> ChatRequest:
    body = {"model": "m", "messages": [{"role": "user", "content": "12345678"}], **members}
    return chat_request(json.dumps(body).encode(), vision=vision)


def test_a_plain_request_is_read() -> None:
    request = asked(max_tokens=5, stream=True)
    assert (request.model, request.text, request.max_tokens) == ("m", "12345678", 5)
    assert (request.stream, request.schema, request.prompt_tokens) == (True, "", 2)


def test_a_strict_schema_is_told_from_a_loose_one() -> None:
    described = {"name": "x", "schema": {"type": "object"}, "strict": True}
    assert asked(response_format={"type": "json_schema", "json_schema": described}).strict
    del described["strict"]
    assert not asked(response_format={"type": "json_schema", "json_schema": described}).strict


def test_a_picture_costs_tokens_and_needs_vision() -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "1234"}, _PICTURE]}]
    assert asked(messages=messages).prompt_tokens == 86
    with pytest.raises(BadRequestError, match="does not support image"):
        asked(messages=messages, vision=False)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"model": ""}, "model"),
        ({"messages": []}, "at least one message"),
        ({"messages": ["hi"]}, r"messages\[0\]"),
        ({"messages": [{"role": "user", "content": 3}]}, "content"),
        ({"n": 2}, "n must be 1"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"response_format": {"type": "json_schema"}}, "schema is missing"),
        ({"response_format": {"type": "json_schema", "json_schema": []}}, "json_schema cannot"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image_url", "image_url": {"url": "http://x/y.png"}}],
                    }
                ]
            },
            "data URL",
        ),
    ],
)
def test_a_broken_request_is_refused_saying_what_is_wrong(
    members: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadRequestError, match=said):
        asked(**members)


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequestError, match="body"):
        chat_request(body, vision=True)
