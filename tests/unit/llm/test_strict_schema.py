"""Schemas as OpenAI's strict mode takes them."""

import json
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from tasks.llm.strict_schema import KEPT, strict_schema
from tasks.schemas.documents import CoreDocument, StrategyDocument, VisualDocument


class Tag(BaseModel):
    """A part."""

    kind: Literal["a"] = "a"
    default: str = Field(default="x", max_length=5, description="short")


class Note(BaseModel):
    """A reply with all that strict mode refuses."""

    model_config = ConfigDict(extra="ignore")
    title: Annotated[str, Field(min_length=1, max_length=9, pattern="^[a-z]+$")]
    tags: Annotated[list[Tag], Field(min_length=1, max_length=3)]
    first: Tag = Field(description="the first")
    either: Tag | int = Field(discriminator=None)


class Tree(BaseModel):
    """A recursive root."""

    children: list["Tree"]


def keywords(schema: Any) -> set[str]:
    """Collect the keywords of a schema, property names left out."""
    if isinstance(schema, list):
        return set().union(*map(keywords, schema))
    if not isinstance(schema, dict):
        return set()
    found = set(schema)
    for key, value in schema.items():
        inside = list(value.values()) if key in ("properties", "$defs") else value
        found |= keywords(inside)
    return found


def test_only_supported_keywords_are_left() -> None:
    strict = strict_schema(Note.model_json_schema())
    assert keywords(strict) <= KEPT
    assert strict["properties"]["title"] == {
        "title": "Title", "type": "string", "pattern": "^[a-z]+$"}  # fmt: skip
    assert strict["properties"]["tags"]["minItems"] == 1


def test_a_property_may_be_called_as_a_refused_keyword_is() -> None:
    tag = strict_schema(Note.model_json_schema())["$defs"]["Tag"]
    assert tag["properties"]["default"]["description"] == "short"
    assert "default" not in tag["properties"]["default"]


def test_objects_are_closed_and_all_of_their_properties_required() -> None:
    tag = strict_schema(Note.model_json_schema())["$defs"]["Tag"]
    assert tag["additionalProperties"] is False
    assert tag["required"] == ["kind", "default"]


def test_a_reference_stands_alone() -> None:
    assert strict_schema(Note.model_json_schema())["properties"]["first"] == {"$ref": "#/$defs/Tag"}


def test_a_recursive_root_is_an_object() -> None:
    strict = strict_schema(Tree.model_json_schema())
    assert strict["type"] == "object"
    assert "$ref" not in strict


def test_the_schema_that_was_given_is_left_as_it_was() -> None:
    schema = Note.model_json_schema()
    before = json.dumps(schema)
    strict_schema(schema)
    assert json.dumps(schema) == before


@pytest.mark.parametrize("document", [CoreDocument, StrategyDocument, VisualDocument])
def test_the_stages_documents_can_be_asked_for_strictly(document: type[BaseModel]) -> None:
    assert keywords(strict_schema(document.model_json_schema())) <= KEPT
