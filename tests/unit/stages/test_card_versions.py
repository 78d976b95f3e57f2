"""V1, V2 and V3 turn into each other without a loss."""

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.schemas.card import valid_card, valid_card_v3
from tasks.stages.card_versions import V1_TEXTS, V2_TEXTS, v2_from_v1, v2_from_v3, v3_from_v2

short = st.text(max_size=6)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | short,
    lambda part: st.lists(part, max_size=2) | st.dictionaries(short, part, max_size=2),
    max_leaves=5,
)
extensions = st.dictionaries(short | st.just("castline"), json_values, max_size=3).filter(
    lambda made: not (isinstance(made.get("castline"), dict) and "v3" in made["castline"])
)
entries = st.lists(
    st.fixed_dictionaries(
        {
            "keys": st.lists(short, max_size=2),
            "content": short,
            "extensions": extensions,
            "enabled": st.booleans(),
            "insertion_order": st.integers(),
            "use_regex": st.booleans(),
        },
        optional={"id": st.integers() | short, "constant": st.booleans()},
    ),
    max_size=3,
)
v3_cards = st.fixed_dictionaries(
    {
        "spec": st.just("chara_card_v3"),
        "spec_version": st.just("3.0"),
        "data": st.fixed_dictionaries(
            {
                **dict.fromkeys((*V1_TEXTS, *V2_TEXTS), short),
                "name": st.just("Bo"),
                "alternate_greetings": st.lists(short, max_size=2),
                "tags": st.lists(short, max_size=2),
                "extensions": extensions.filter(
                    lambda made: isinstance(made.get("castline", {}), dict)
                ),
                "group_only_greetings": st.lists(short, max_size=2),
                "assets": st.just([{"type": "icon", "uri": "data:,", "name": "main", "ext": "a"}]),
            },
            optional={
                "nickname": short,
                "source": st.lists(short, max_size=2),
                "creation_date": st.integers(),
                "creator_notes_multilingual": st.dictionaries(short, short, max_size=2),
                "character_book": st.fixed_dictionaries(
                    {"extensions": extensions, "entries": entries}
                ),
            },
        ),
    }
)


def without_empty_ours(part: Any) -> Any:
    """The same, without our own extension where it is empty or no object: it may be replaced."""
    if isinstance(part, list):
        return [without_empty_ours(one) for one in part]
    if not isinstance(part, dict):
        return part
    made = {key: without_empty_ours(value) for key, value in part.items()}
    if "castline" in made and (not isinstance(made["castline"], dict) or not made["castline"]):
        del made["castline"]
    return made


@settings(max_examples=80, deadline=None)
@given(v3_cards)
def test_a_v3_card_lowered_is_a_valid_v2_and_raised_again_the_same(card):
    given_card = copy.deepcopy(card)
    lowered = v2_from_v3(card)
    assert valid_card(lowered)["data"].keys().isdisjoint({"assets", "group_only_greetings"})
    raised = v3_from_v2(lowered)
    assert without_empty_ours(valid_card_v3(raised)) == without_empty_ours(given_card)
    assert card == given_card


def test_a_v2_card_is_raised_with_what_v3_requires():
    card = v2_from_v1(dict.fromkeys(V1_TEXTS, "x"))
    book_entry = {"keys": [], "content": "", "extensions": {}, "enabled": True}
    card["data"]["character_book"] = {
        "extensions": {}, "entries": [{**book_entry, "insertion_order": 1}],
    }  # fmt: skip
    raised = valid_card_v3(v3_from_v2(card))
    assert raised["data"]["group_only_greetings"] == []
    assert raised["data"]["assets"] == [
        {"type": "icon", "uri": "ccdefault:", "name": "main", "ext": "png"}
    ]
    assert raised["data"]["character_book"]["entries"][0]["use_regex"] is False
    assert "use_regex" not in card["data"]["character_book"]["entries"][0]


def test_a_card_that_was_v3_once_has_nothing_of_ours_when_it_is_raised_again():
    card = v3_from_v2(v2_from_v1(dict.fromkeys(V1_TEXTS, "x")))
    again = v3_from_v2(v2_from_v3(card))
    assert again["data"]["extensions"] == {}
    assert again == card


def test_a_v1_card_keeps_its_six_texts():
    card = valid_card(v2_from_v1({field: f"my {field}" for field in V1_TEXTS}))
    assert {field: card["data"][field] for field in V1_TEXTS} == {
        field: f"my {field}" for field in V1_TEXTS
    }
    assert "character_book" not in card["data"]
