"""How each provider is made to search, and what it says it found."""

import pytest

from tasks.llm.outlet import body_of
from tasks.llm.providers import Provider, simulated_provider
from tasks.llm.web_search import results_found
from tasks.presets import PRESETS, WebSearch
from tasks.schemas.calls import Message
from tasks.schemas.completion import ChatRequest

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


def provider(name: str, style: WebSearch) -> Provider:
    """Build a provider of a preset that searches in this style."""
    from dataclasses import replace

    preset = PRESETS[name]
    return replace(
        simulated_provider("http://127.0.0.1:9/v1", slots=1),
        dialect=preset.dialect,
        structured=preset.structured,
        limit_key=preset.limit_key,
        web_search=style,
    )


def request(search: str) -> ChatRequest:
    """Build a structured request that searches, or does not."""
    return ChatRequest(
        messages=(Message(role="user", content="clocks?"),),
        model="m",
        temperature=0.3,
        max_tokens=9,
        schema_name="Reply",
        schema_body=SCHEMA,
        search=search,
    )


def test_bigmodel_gets_a_tool_with_the_query_and_keeps_its_json() -> None:
    body = body_of(provider("bigmodel", "bigmodel"), request("clocks"))
    assert body["tools"][0]["type"] == "web_search"
    assert body["tools"][0]["web_search"]["search_query"] == "clocks"
    assert body["response_format"] == {"type": "json_object"}


def test_anthropic_is_not_forced_into_a_tool_when_it_is_to_search() -> None:
    body = body_of(provider("anthropic", "anthropic"), request("clocks"))
    assert [tool["name"] for tool in body["tools"]] == ["web_search"]
    assert "tool_choice" not in body
    assert '"properties"' in body["system"]


def test_openais_search_models_take_no_temperature() -> None:
    body = body_of(provider("openai", "openai"), request("clocks"))
    assert body["web_search_options"] == {}
    assert "temperature" not in body


@pytest.mark.parametrize("style", ["none", "model"])
def test_who_needs_no_telling_is_told_nothing(style: WebSearch) -> None:
    plain = body_of(provider("groq", style), request(""))
    assert body_of(provider("groq", style), request("clocks")) == plain


def test_nothing_is_added_to_a_call_that_does_not_search() -> None:
    assert "tools" not in body_of(provider("bigmodel", "bigmodel"), request(""))


@pytest.mark.parametrize(
    ("style", "payload", "count"),
    [
        ("bigmodel", {"web_search": [{}, {}]}, 2),
        ("bigmodel", {"web_search": None}, 0),
        ("bigmodel", [], 0),
        (
            "anthropic",
            {
                "content": [
                    {"type": "web_search_tool_result", "content": [{}, {}, {}]},
                    {"type": "x"},
                ]
            },
            3,
        ),
        ("anthropic", {"content": [{"type": "web_search_tool_result", "content": {"e": 1}}]}, 0),
        ("openai", {"choices": [{"message": {"annotations": [{}]}}]}, 1),
        ("openai", {"choices": []}, 0),
        ("none", {"web_search": [{}]}, 0),
    ],
)
def test_what_a_provider_says_it_found_is_counted(
    style: WebSearch, payload: object, count: int
) -> None:
    assert results_found(payload, style) == count
