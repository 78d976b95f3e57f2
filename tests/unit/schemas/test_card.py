"""Which cards are valid: the rules of the published specifications."""

import copy
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.schemas.card import valid_card, valid_card_v3

TEXTS = (
    "name", "description", "personality", "scenario", "first_mes", "mes_example",
    "creator_notes", "system_prompt", "post_history_instructions", "creator",
    "character_version",
)  # fmt: skip
REQUIRED = (*TEXTS, "alternate_greetings", "tags", "extensions")


def entry(**changes: Any) -> dict[str, Any]:
    plain = {"keys": ["k"], "content": "", "extensions": {}, "enabled": True}
    return {**plain, "insertion_order": 0, **changes}


def card(**changes: Any) -> dict[str, Any]:
    data = {**dict.fromkeys(TEXTS, ""), "name": "Bo", "alternate_greetings": [], "tags": []}
    data = {**data, "extensions": {}, **changes}
    return {"spec": "chara_card_v2", "spec_version": "2.0", "data": data}


def card_v3(**changes: Any) -> dict[str, Any]:
    raised = card(group_only_greetings=[], **changes)
    return {**raised, "spec": "chara_card_v3", "spec_version": "3.0"}


def book(*entries: Any) -> dict[str, Any]:
    return {"extensions": {}, "entries": list(entries)}


def test_a_card_with_empty_texts_and_a_name_is_valid_and_comes_back_untouched():
    given = card(extensions={"someone/else": {"deep": [None]}}, unknown=1)
    kept = copy.deepcopy(given)
    assert valid_card(given) == kept


@pytest.mark.parametrize("field", REQUIRED)
def test_every_required_field_must_be_there_and_not_null(field):
    for broken in (card(), card(**{field: None}), card(**{field: 3})):
        if broken["data"][field] not in (None, 3):
            del broken["data"][field]
        with pytest.raises(ValidationError, match=field):
            valid_card(broken)


@pytest.mark.parametrize("name", ["", " ", "\n\t"])
def test_a_character_has_a_name(name):
    with pytest.raises(ValidationError):
        valid_card(card(name=name))


@pytest.mark.parametrize(
    "changes",
    [
        {"spec": "chara_card_v3"},
        {"spec_version": "2"},
        {"spec_version": 2.0},
        {"data": []},
    ],
)
def test_the_root_says_what_it_is(changes):
    with pytest.raises(ValidationError):
        valid_card({**card(), **changes})


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        {"entries": []},
        {"extensions": {}, "entries": {"0": entry()}},
        {"extensions": {}, "entries": [None]},
        book() | {"scan_depth": True},
        book() | {"token_budget": "5"},
        book() | {"recursive_scanning": 1},
        book(entry(keys="k")),
        book(entry(keys=[1])),
        book(entry(enabled=1)),
        book(entry(insertion_order=True)),
        book(entry(insertion_order="1")),
        book(entry(insertion_order=float("nan"))),
        book(entry(position="")),
        book(entry(position=0)),
        book(entry(id="seven")),
        book(entry(priority=None)),
        book(entry(extensions=None)),
        book(entry(secondary_keys=None)),
    ],
)
def test_a_book_that_breaks_the_rules_is_refused(wrong):
    with pytest.raises(ValidationError, match="character_book"):
        valid_card(card(character_book=wrong))


@pytest.mark.parametrize(
    "right",
    [
        book(),
        book(entry(insertion_order=1.5, id=-3, position="after_char", constant=True)),
        book(entry(name="n", comment="c", priority=2, secondary_keys=["a"], selective=False)),
        book(entry(ours=1)) | {"name": "", "description": "", "scan_depth": 4},
    ],
)
def test_a_book_that_keeps_the_rules_is_valid(right):
    assert valid_card(card(character_book=right))["data"]["character_book"] is right


def asset(**changes: str) -> dict[str, str]:
    return {"type": "icon", "uri": "ccdefault:", "name": "main", "ext": "png", **changes}


def test_a_v3_card_may_have_ids_of_text_and_assets():
    given = card_v3(
        assets=[asset(), asset(uri="embeded://a/b.webp", ext="webp")],
        character_book=book(entry(use_regex=False, id="seven")),
    )
    assert valid_card_v3(given) is given


@pytest.mark.parametrize(
    "broken",
    [
        card(group_only_greetings=[]),
        {**card(), "spec": "chara_card_v3", "spec_version": "3.0"},
        card_v3(character_book=book(entry())),
        card_v3(character_book=book(entry(use_regex=0))),
        card_v3(assets=[asset(ext=".png")]),
        card_v3(assets=[asset(ext="PNG")]),
        card_v3(assets=[asset(uri="/tmp/x.png")]),
        card_v3(assets=None),
        card_v3(creation_date=True),
        card_v3(creator_notes_multilingual={"en": None}),
    ],
)
def test_a_broken_v3_card_is_refused(broken):
    with pytest.raises(ValidationError):
        valid_card_v3(broken)
