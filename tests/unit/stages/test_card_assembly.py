"""Assembled cards: always valid, complete, and nothing of ours outside `extensions.castline`."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from tasks.errors import BadInputError
from tasks.schemas.calls import CallUsage
from tasks.schemas.card import valid_card, valid_card_v3
from tasks.schemas.plan import STAGES as STAGE_NAMES
from tasks.stages.assemble import assemble
from tasks.stages.card_versions import v3_from_v2
from tasks.stages.read_card import read_card
from tasks.stages.registry import STAGES, document_of


def test_a_card_holds_what_chat_programs_read(card):
    data = card["data"]
    assert data["name"] == "Ada Falk"
    assert data["first_mes"] == "You are early, {{user}}."
    assert data["mes_example"] == (
        "<START>\n{{user}}: Still warm?\n{{char}}: For eleven minutes.\n"
        "<START>\n{{user}}: Sleep well?\n{{char}}: At noon, yes."
    )
    assert data["description"].startswith("{{char}} is Ada Falk, 43, woman, night baker")
    assert data["tags"] == ["baker", "night"]
    assert data["creator"] == "Castline"
    assert "AI-generated" in data["creator_notes"]
    assert "fictional adult" in data["creator_notes"]


def test_a_card_says_where_it_comes_from(card):
    own = card["data"]["extensions"]["castline"]
    assert own["provenance"] == {
        "generator": "Castline",
        "ai_generated": True,
        "fictional_adult": True,
        "run_id": "r1",
        "language": "en",
        "models": ["sim-1"],
        "prompt_versions": {name: STAGES[name].version for name in STAGE_NAMES},
    }
    assert own["cost"]["made"] == 3
    assert own["cost"]["cost_usd"] == 0.5


def test_everything_that_v2_has_no_field_for_is_ours(card):
    assert set(card["data"]["extensions"]) == {"castline"}
    assert set(card["data"]["extensions"]["castline"]) == {
        "core", "strategy", "social_network", "authenticity", "visual_profile",
        "example_tweets", "provenance", "cost",
    }  # fmt: skip
    assert len(card["data"]["extensions"]["castline"]["example_tweets"]) == 8


def test_the_book_has_an_entry_for_each_fact_in_order(card):
    entries = card["data"]["character_book"]["entries"]
    assert [e["comment"] for e in entries] == ["places"] * 2 + ["people"] * 2 + ["expertise"] * 2
    assert [e["id"] for e in entries] == list(range(6))
    assert entries[0]["keys"] == ["rye"]


def test_a_chinese_card_speaks_chinese_around_its_values(documents):
    made = assemble(documents, run_id="r", language="zh", usage_by_stage={})
    assert made["data"]["description"].startswith("{{char}}：Ada Falk，43岁")
    assert "看重：work、warmth" in made["data"]["personality"]
    assert "AI-generated" in made["data"]["creator_notes"]
    assert "虚构的成年人" in made["data"]["creator_notes"]


@pytest.mark.parametrize("lost", STAGE_NAMES)
def test_a_missing_document_is_named(lost, documents):
    rest = {name: document for name, document in documents.items() if name != lost}
    with pytest.raises(BadInputError, match=lost):
        assemble(rest, run_id="r", language="en", usage_by_stage={})


def test_a_document_under_anothers_name_is_refused(documents):
    with pytest.raises(BadInputError, match="knowledge"):
        assemble(
            {**documents, "knowledge": documents["core"]},
            run_id="r", language="en", usage_by_stage={},
        )  # fmt: skip


def values(schema: Any, defs: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Any value of a schema, as a model might write it."""
    if "$ref" in schema:
        return values(defs[schema["$ref"].rsplit("/", 1)[1]], defs)
    if schema["type"] == "integer":
        return st.integers(schema["minimum"], schema["maximum"])
    if schema["type"] == "string":
        written = st.text(min_size=1, max_size=min(schema.get("maxLength", 40), 40))
        return st.sampled_from(["{{char}}", "<START>", "{x}", "茶", '"']) | written.filter(
            lambda text: text.strip()
        )
    if schema["type"] == "array":
        return st.lists(
            values(schema["items"], defs), min_size=schema["minItems"], max_size=schema["maxItems"]
        )
    return st.fixed_dictionaries(
        {name: values(part, defs) for name, part in schema["properties"].items()}
    )


def any_document(name: str) -> st.SearchStrategy[BaseModel]:
    """Any document of a stage."""
    schema = STAGES[name].document.model_json_schema()
    return values(schema, schema.get("$defs", {})).map(lambda made: document_of(name, made))


@settings(max_examples=25, deadline=None)
@given(
    st.fixed_dictionaries({name: any_document(name) for name in STAGE_NAMES}),
    st.sampled_from(["en", "zh"]),
    st.dictionaries(
        st.sampled_from(STAGE_NAMES),
        st.builds(CallUsage, made=st.integers(0, 9), model=st.text(max_size=5)),
    ),
)
def test_any_documents_make_a_valid_card_that_survives_its_file(documents, language, usage):
    made = assemble(documents, run_id="r", language=language, usage_by_stage=usage)
    assert valid_card(made)["data"]["mes_example"].startswith("<START>\n{{user}}: ")
    assert valid_card_v3(v3_from_v2(made))
    assert read_card(json.dumps(made).encode(), label="card.json") == made
