"""What each stage asks, how often, and whether its schemas are strict."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tasks.errors import BadInputError, ProviderDownError
from tasks.schemas.documents import ExampleTweet, ExampleTweets
from tasks.stages.registry import STAGES, document_of
from tasks.stages.tweet_length import tweet_length

PICTURE = "data:image/jpeg;base64,AAAA"
FROM_TEXT = [
    "core.persona",
    "strategy",
    "examples.1",
    "examples.2",
    "social.close",
    "social.online",
    "authenticity",
    "visual",
    "knowledge.places",
    "knowledge.people",
    "knowledge.expertise",
]


def test_a_character_from_text_takes_eleven_calls(ask, write_documents):
    asyncio.run(write_documents(ask))
    assert ask.names == FROM_TEXT


def test_a_character_from_a_picture_looks_at_it_first_and_again_for_the_looks(ask, write_documents):
    asyncio.run(write_documents(ask, image_data_url=PICTURE))
    assert ask.names == ["core.observe", *FROM_TEXT]
    seeing = [c.name for c in ask.calls if any(m.image == PICTURE for m in c.messages)]
    assert seeing == ["core.observe", "visual"]
    assert "Appearance: grey plait" in ask.prompt("core.persona")


def test_a_stage_makes_as_many_calls_as_it_says(ask, make_inputs, documents, card):
    days = tuple(f"2026-12-{day:02d}" for day in range(1, 11))
    for name, stage in STAGES.items():
        ask.calls.clear()
        inputs = make_inputs(documents=documents, card=card, dates=days, slot=1)
        asyncio.run(stage.write(inputs, ask))
        assert len(ask.calls) == stage.calls, name


def test_stored_documents_come_back_as_they_were(documents):
    for name, document in documents.items():
        assert document_of(name, document.model_dump(mode="json")) == document


def test_stages_read_what_comes_before_them():
    order = list(STAGES)
    for name, stage in STAGES.items():
        assert stage.name == name
        assert all(order.index(read) < order.index(name) for read in stage.reads)


@pytest.mark.parametrize("name", ["strategy", "examples", "social", "visual", "knowledge"])
def test_a_stage_without_the_core_is_refused(name, ask, make_inputs):
    with pytest.raises(BadInputError, match="core"):
        asyncio.run(STAGES[name].write(make_inputs(), ask))
    assert ask.calls == []


@pytest.mark.parametrize(("name", "calls"), [("examples", 2), ("social", 2), ("knowledge", 3)])
def test_the_calls_of_a_stage_are_in_flight_together(name, calls, ask, make_inputs, documents):
    async def write() -> None:
        all_here = asyncio.Barrier(calls)

        async def slow(call: Any) -> Any:
            await all_here.wait()  # never opens for calls that come one after the other
            return await ask(call)

        async with asyncio.timeout(5):
            await STAGES[name].write(make_inputs(documents=documents), slow)

    asyncio.run(write())
    assert len(ask.calls) == calls


def test_a_failed_call_of_a_stage_fails_the_stage(ask, make_inputs, documents):
    ask.answers["knowledge.people"] = ProviderDownError("away")
    with pytest.raises(ProviderDownError):
        asyncio.run(STAGES["knowledge"].write(make_inputs(documents=documents), ask))


def test_example_tweets_that_weigh_too_much_are_cut(ask, make_inputs, documents):
    long = ExampleTweet(text="茶" * 200, mood="calm")
    ask.answers["examples.1"] = ExampleTweets(tweets=[long] * 4)
    written = asyncio.run(STAGES["examples"].write(make_inputs(documents=documents), ask))
    assert len(written.tweets) == 8
    assert all(tweet_length(tweet.text) <= 280 for tweet in written.tweets)


def every_reply(ask: Any, write_documents: Any, make_inputs: Any, card: Any) -> set[type]:
    """Every type that any stage asks a model for."""
    asyncio.run(write_documents(ask, image_data_url=PICTURE))
    asyncio.run(STAGES["calendar"].write(make_inputs(card=card, dates=("2026-12-01",)), ask))
    asyncio.run(STAGES["tweet"].write(make_inputs(card=card, slot=1), ask))
    return {call.reply for call in ask.calls}


def objects_in(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object schema in a schema."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for part in schema.values():
            yield from objects_in(part)
    if isinstance(schema, list):
        for part in schema:
            yield from objects_in(part)


def test_every_reply_schema_is_strict_and_described(ask, write_documents, make_inputs, card):
    replies = every_reply(ask, write_documents, make_inputs, card)
    assert len(replies) == 10
    for reply in replies:
        for found in objects_in(reply.model_json_schema()):
            assert found["additionalProperties"] is False
            assert sorted(found["required"]) == sorted(found["properties"])
            for name, field in found["properties"].items():
                assert "default" not in field, (reply, name)
                assert field.get("description"), (reply, name)
                if field.get("type") == "array":
                    assert {"minItems", "maxItems"} <= field.keys(), (reply, name)


def test_every_call_leaves_room_for_its_reply(ask, write_documents, make_inputs, card):
    every_reply(ask, write_documents, make_inputs, card)
    for call in ask.calls:
        longest = len(call.reply.model_json_schema()["properties"])
        assert call.max_tokens >= 100 * longest, call.name


@pytest.mark.parametrize(
    ("language", "last"), [("en", "in English"), ("zh", "in Simplified Chinese")]
)
def test_prompts_end_with_the_language(language, last, ask, write_documents, make_inputs, card):
    asyncio.run(write_documents(ask, language=language))
    asyncio.run(STAGES["tweet"].write(make_inputs(card=card, slot=1, language=language), ask))
    for call in ask.calls:
        asked = call.messages[-1].content
        expected = "in English" if call.name == "visual" else last
        assert expected in asked[asked.rindex("\n\n") :], call.name


def test_the_looks_are_written_in_english_in_every_language(ask, write_documents):
    asyncio.run(write_documents(ask, language="zh"))
    assert "Chinese" not in ask.prompt("visual")
