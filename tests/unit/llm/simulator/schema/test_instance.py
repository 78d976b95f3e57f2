"""Instances are valid for their schema, readable, seeded, and respect what the prompt says."""

import datetime
import json
import random
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import BaseModel, ConfigDict, Field

from tasks.llm.simulator.prompt import Prompt
from tasks.llm.simulator.prose.prose import Prose
from tasks.llm.simulator.schema.document import SchemaDocument, UnusableSchemaError
from tasks.llm.simulator.schema.instance import instance_of


def written(schema: Any, *, seed: int = 1, prompt: Prompt | None = None) -> Any:
    prose = Prose(random.Random(seed), prompt or Prompt())
    return instance_of(SchemaDocument(schema), prose)


def assert_valid(schema: Any, *, seed: int = 1) -> Any:
    value = written(schema, seed=seed)
    Draft202012Validator(schema).validate(json.loads(json.dumps(value)))
    return value


# --- schemas that can certainly be satisfied --------------------------------------------------

_NAMES = st.sampled_from(
    ["name", "age", "mood", "text", "date", "tags", "children", "x_1", "score", "why"]
)


def _bounds(low: str, high: str, most: int) -> st.SearchStrategy[dict[str, int]]:
    return st.tuples(st.integers(0, most), st.integers(0, most)).map(
        lambda pair: {low: min(pair), high: max(pair)}
    )


_STRINGS = st.one_of(
    st.just({"type": "string"}),
    _bounds("minLength", "maxLength", 60).map(lambda b: {"type": "string", **b}),
    st.sampled_from(
        [r"^\d{4}-\d{2}-\d{2}$", r"^[A-Z]{3}-\d+$", r"^(a|bc)+x?$", r"^#\w+$", r"[^a-z]{2}\s\S"]
    ).map(lambda pattern: {"type": "string", "pattern": pattern}),
    st.sampled_from(["date", "date-time", "uri", "email", "uuid", "time", "ipv4"]).map(
        lambda name: {"type": "string", "format": name}
    ),
)
_INTEGERS = st.one_of(
    st.just({"type": "integer"}),
    st.integers(-50, 50).flatmap(
        lambda low: st.integers(low, low + 40).map(
            lambda high: {"type": "integer", "minimum": low, "maximum": high}
        )
    ),
    st.integers(-50, 50).map(
        lambda low: {"type": "integer", "exclusiveMinimum": low, "exclusiveMaximum": low + 2}
    ),
    st.integers(1, 20).map(lambda step: {"type": "integer", "multipleOf": step, "minimum": 3}),
)
_NUMBERS = st.one_of(
    st.floats(-100, 100).map(lambda low: {"type": "number", "minimum": low, "maximum": low + 1}),
    st.floats(-100, 100).map(lambda low: {"type": "number", "exclusiveMinimum": low}),
    st.floats(-100, 100).map(lambda high: {"type": "number", "exclusiveMaximum": high}),
    st.sampled_from([0.5, 0.25, 2, 0.1]).map(lambda step: {"type": "number", "multipleOf": step}),
)
_FIXED = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.just({"type": ["string", "null"]}),
    st.just(True),
    st.just({}),
    st.sampled_from([1, "a", None, True, [1, {"b": 2}]]).map(lambda value: {"const": value}),
    st.lists(st.sampled_from([1, "a", None, False, 2.5]), min_size=1).map(
        lambda values: {"enum": values}
    ),
    st.just({"$ref": "#/$defs/Node"}),
)
_NODE = {
    "type": "object",
    "title": "Node",
    "properties": {
        "name": {"type": "string"},
        "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
        "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
    },
    "required": ["name", "next", "children"],
    "additionalProperties": False,
}


def _arrays(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.tuples(items, _bounds("minItems", "maxItems", 4)).map(
            lambda pair: {"type": "array", "items": pair[0], **pair[1]}
        ),
        st.lists(items, min_size=1, max_size=3).map(
            lambda parts: {"type": "array", "prefixItems": parts, "items": False}
        ),
        st.integers(1, 5).map(
            lambda least: {
                "type": "array",
                "items": {"type": "integer", "minimum": 0, "maximum": 6},
                "uniqueItems": True,
                "minItems": least,
            }
        ),
        items.map(
            lambda part: {"type": "array", "contains": part, "minContains": 2, "maxItems": 6}
        ),
    )


def _objects(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.tuples(st.dictionaries(_NAMES, items, max_size=4), st.booleans()).map(
            lambda pair: {
                "type": "object",
                "properties": pair[0],
                "required": sorted(pair[0])[::2],
                "additionalProperties": pair[1],
            }
        ),
        st.tuples(items, _bounds("minProperties", "maxProperties", 4)).map(
            lambda pair: {"type": "object", "additionalProperties": pair[0], **pair[1]}
        ),
        st.just(
            {
                "type": "object",
                "propertyNames": {"pattern": "^[a-z]{3}$"},
                "patternProperties": {"^[a-m]": {"type": "integer"}},
                "minProperties": 2,
            }
        ),
    )


def _branches(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(items, min_size=1, max_size=3).map(lambda parts: {"anyOf": parts}),
        st.lists(items, min_size=1, max_size=2).map(
            lambda parts: {
                "oneOf": [
                    {
                        "type": "object",
                        "properties": {"kind": {"const": at}, "value": part},
                        "required": ["kind", "value"],
                    }
                    for at, part in enumerate(parts)
                ]
            }
        ),
        st.tuples(items, items).map(
            lambda pair: {
                "type": "object",
                "allOf": [
                    {"properties": {"left": pair[0]}, "required": ["left"]},
                    {"properties": {"right": pair[1]}, "required": ["right"]},
                ],
            }
        ),
    )


_SCHEMAS = st.recursive(
    st.one_of(_STRINGS, _INTEGERS, _NUMBERS, _FIXED),
    lambda items: st.one_of(_arrays(items), _objects(items), _branches(items)),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(schema=_SCHEMAS, seed=st.integers(0, 9))
def test_an_instance_of_any_satisfiable_schema_is_valid_for_it(schema: Any, seed: int) -> None:
    root = {"$defs": {"Node": _NODE}, "allOf": [schema]}
    assert_valid(root, seed=seed)


@settings(max_examples=60, deadline=None)
@given(one=_SCHEMAS, other=_SCHEMAS, combine=st.sampled_from(["allOf", "oneOf", "not"]))
def test_what_may_be_unsatisfiable_is_either_answered_validly_or_refused(
    one: Any, other: Any, combine: str
) -> None:
    schema: dict[str, Any] = {"$defs": {"Node": _NODE}, combine: [one, other]}
    if combine == "not":
        schema = {"$defs": {"Node": _NODE}, "allOf": [one], "not": other}
    try:
        value = written(schema)
    except UnusableSchemaError:
        return
    # whether a format counts is left to validators, and "not" and "oneOf" turn on it: here as there
    formats = FormatChecker(["date"])
    Draft202012Validator(schema, format_checker=formats).validate(json.loads(json.dumps(value)))


# --- single keywords ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schema",
    [
        {"if": {"required": ["a"]}, "then": {"required": ["b"]}, "type": "object"},
        {"oneOf": [{"type": "integer"}, {"type": "number", "minimum": 5}]},
        {"type": "array", "items": {"enum": [1, 2, 3]}, "uniqueItems": True, "minItems": 3},
        {"type": "object", "properties": {"a": {}}, "dependentRequired": {"a": ["b"]}},
        {"$ref": "#/$defs/here", "$defs": {"here": {"$anchor": "x", "type": "string"}}},
        {"properties": {"type": {"const": "a"}, "allOf": {"type": "null"}}, "type": "object"},
        {"type": "object", "required": ["undeclared"]},
        {"type": "string", "minLength": 300, "maxLength": 320},
        {"type": "string", "minLength": 3, "maxLength": 3},
        {"type": "string", "pattern": "^[a-z]+$", "minLength": 30},
        {"allOf": [{"type": "integer"}, {"type": ["number", "string"]}]},
        {"$ref": "#/components/Thing", "components": {"Thing": {"type": "boolean"}}},
    ],
    ids=lambda schema: ",".join(schema)[:40],
)
def test_this_schema_is_satisfied_whatever_the_seed(schema: Any) -> None:
    for seed in range(8):
        assert_valid(schema, seed=seed)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (False, "no finite document"),
        ({"type": "string", "minLength": 5, "maxLength": 4}, "5 or more"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "at least 3"),
        ({"type": "string", "pattern": "^(?!x)x$"}, "found no string"),
        ({"type": "string", "pattern": "("}, "unsupported pattern"),
        ({"$ref": "#/$defs/Missing"}, "points at nothing"),
        ({"$ref": "https://example.org/s.json"}, "only local"),
        ({"type": "text"}, "'text' does not exist"),
        ({"type": "array", "minItems": "two"}, "'minItems' cannot be 'two'"),
        ({"enum": []}, "no value of the enum"),
        ({"allOf": [{"const": 1}, {"const": 2}]}, "constants differ"),
    ],
)
def test_an_impossible_schema_is_refused_with_the_reason(schema: Any, said: str) -> None:
    with pytest.raises(UnusableSchemaError, match=said.replace("(", r"\(")):
        written(schema)


def test_an_endless_recursion_is_refused_and_an_optional_one_stays_small() -> None:
    endless = {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}
    with pytest.raises(UnusableSchemaError, match="no finite document"):
        written(endless)
    assert len(json.dumps(assert_valid({**endless, "required": []}))) < 200


def test_two_branches_that_only_recurse_do_not_take_for_ever() -> None:
    tree = {
        "anyOf": [
            {"type": "object", "properties": {"l": {"$ref": "#"}, "r": {"$ref": "#"}}},
            {"type": "object", "properties": {"l": {"$ref": "#"}}, "required": ["l"]},
            {"type": "string"},
        ]
    }
    for seed in range(20):
        assert len(json.dumps(assert_valid(tree, seed=seed))) < 50_000


# --- the documents of this project ---------------------------------------------------------------


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Friend(Closed):
    name: str
    relation: str
    occupation: str


class Character(Closed):
    name: str
    age: int = Field(ge=18, le=90)
    occupation: str
    city: str
    first_mes: str
    description: str = Field(min_length=40)
    hobbies: list[str] = Field(min_length=3, max_length=5)
    friends: list[Friend] = Field(min_length=5, max_length=5)
    motto: str | None


class Day(Closed):
    date: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    weather: str
    time_of_day: Literal["morning", "evening"]


class Calendar(Closed):
    days: list[Day] = Field(min_length=1)


class TweetDraft(Closed):
    text: str
    image_prompt: str
    mood: str


class TweetDrafts(Closed):
    tweets: list[TweetDraft] = Field(min_length=10, max_length=10)


def model_reply(model: type[BaseModel], *, seed: int = 1, prompt: Prompt | None = None) -> Any:
    return model.model_validate(
        written(model.model_json_schema(), seed=seed, prompt=prompt), strict=True
    )


def test_a_character_is_an_adult_with_a_name_that_its_texts_use() -> None:
    for seed in range(30):
        character = model_reply(Character, seed=seed)
        assert 18 <= character.age <= 90
        given_name, _ = character.name.split(" ")
        assert given_name in character.description
        assert "{{user}}" in character.first_mes
        assert character.name not in {friend.name for friend in character.friends}
        assert len({friend.name for friend in character.friends}) == 5


def test_a_taken_name_is_never_given_again() -> None:
    free = model_reply(Character, seed=4)
    taken = frozenset(name.casefold() for name in (free.name, free.friends[0].name))
    again = model_reply(Character, seed=4, prompt=Prompt(taken_names=taken))
    names = {again.name, *(friend.name for friend in again.friends)}
    assert not names & {free.name, free.friends[0].name}


def test_names_rarely_repeat_over_many_seeds() -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    names = {written(schema, seed=seed)["name"] for seed in range(400)}
    assert len(names) > 385


def test_ten_tweets_are_short_ascii_first_person_and_all_different() -> None:
    for seed in range(5):
        tweets = [tweet.text for tweet in model_reply(TweetDrafts, seed=seed).tweets]
        assert len(set(tweets)) == 10
        for tweet in tweets:
            assert len(tweet) <= 240
            assert tweet.isascii()
            assert {"I", "me", "my", "My", "myself"} & set(tweet.replace(".", " ").split()), tweet


def test_chinese_tweets_are_chinese_and_short_with_picture_prompts_in_english() -> None:
    for draft in model_reply(TweetDrafts, prompt=Prompt(language="zh")).tweets:
        assert len(draft.text) <= 120
        assert "我" in draft.text
        assert not draft.mood.isascii()
        assert draft.image_prompt.isascii()


def test_the_prompts_calendar_days_are_used_one_each_in_order() -> None:
    days = (datetime.date(2026, 11, 24), datetime.date(2026, 11, 25), datetime.date(2027, 1, 1))
    calendar = model_reply(Calendar, prompt=Prompt(days=days))
    assert [day.date for day in calendar.days] == ["2026-11-24", "2026-11-25", "2027-01-01"]


def test_without_calendar_days_dates_are_real_dates() -> None:
    for seed in range(10):
        for day in model_reply(Calendar, seed=seed).days:
            datetime.date.fromisoformat(day.date)


def test_the_character_named_in_the_prompt_is_the_one_written_about() -> None:
    character = model_reply(Character, prompt=Prompt(character_name="Ada Falk"))
    assert character.name == "Ada Falk"
    assert "Ada" in character.description
    chinese = Prompt(character_name="Ada Falk", language="zh", told={"topic": "slow trains"})
    assert model_reply(Character, prompt=chinese).name == "Ada Falk"


def test_the_same_seed_writes_the_same_document_and_another_seed_another() -> None:
    assert model_reply(Character, seed=7) == model_reply(Character, seed=7)
    assert model_reply(Character, seed=7) != model_reply(Character, seed=8)


def test_a_description_that_asks_for_exactly_so_many_gets_them() -> None:
    schema = {"type": "array", "items": {"type": "string"}, "description": "exactly 7 tweets"}
    assert len(written(schema)) == 7


def test_a_mapping_gets_a_few_entries_of_its_value_schema() -> None:
    value = assert_valid({"type": "object", "additionalProperties": {"type": "integer"}})
    assert 2 <= len(value) <= 3
