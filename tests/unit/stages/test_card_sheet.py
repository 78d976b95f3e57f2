import pytest

from tasks.stages.card_sheet import calls_up, card_sheet, facts, people, spoken, voice


def entry(**changes):
    plain = {"keys": ["rye"], "content": "x", "enabled": True, "insertion_order": 1}
    return {**plain, "extensions": {}, **changes}


def test_the_sheet_sums_up_who_they_are_and_whom_they_know(card):
    lines = card_sheet(card).splitlines()
    assert "character-name: Ada Falk" in lines
    assert "occupation: night baker" in lines
    assert "never posts: recipes" in lines
    assert (
        "people they know: Ivo Lind (brother), Nour (rival), Ivo Lind (brother), Nour (rival)"
        in lines
    )
    assert "situation: somebody knocks at four in the morning." in lines


def test_no_macro_is_left_in_the_sheet(card):
    assert "{{" not in card_sheet(card)


def test_long_texts_are_cut_between_words(card):
    card["data"]["description"] = "word " * 2000
    line = next(ln for ln in card_sheet(card).splitlines() if ln.startswith("description: "))
    assert line.endswith("word…")
    assert len(line) < 3100


def test_a_foreign_cards_voice_is_how_it_talks(card):
    card["data"]["extensions"] = {}
    shown = voice(card)
    assert "You are early, somebody." in shown
    assert "<START>" not in shown


def test_a_card_without_any_voice_shows_none(card):
    card["data"]["extensions"] = {}
    card["data"]["first_mes"] = card["data"]["mes_example"] = ""
    assert voice(card) == ""


def test_people_without_a_name_are_left_out():
    assert people({"close": [{"relation": "aunt"}, {"name": "Bo"}]}) == ["Bo"]


@pytest.mark.parametrize(
    ("changes", "text", "called"),
    [
        ({}, "Rye again", True),
        ({}, "bread", False),
        ({"enabled": False}, "rye", False),
        ({"case_sensitive": True}, "RYE", False),
        ({"case_sensitive": True}, "rye", True),
        ({"constant": True}, "bread", True),
        ({"selective": True, "secondary_keys": ["dawn"]}, "rye at noon", False),
        ({"selective": True, "secondary_keys": ["dawn"]}, "rye at dawn", True),
        ({"selective": True, "secondary_keys": []}, "rye", True),
        ({"secondary_keys": ["dawn"]}, "rye", True),
        ({"keys": ["", " "]}, "anything at all", False),
        ({"keys": ["茶"]}, "喝茶", True),
    ],
)
def test_an_entry_is_called_up_by_its_keys(changes, text, called):
    assert calls_up(text, entry(**changes)) is called


def test_at_most_three_facts_are_shown_constant_ones_first(card):
    card["data"]["character_book"]["entries"] = [
        entry(content=f"fact {n}", insertion_order=9 - n, constant=n == 0) for n in range(6)
    ]
    assert facts(card, "rye").splitlines()[1:] == ["- fact 0", "- fact 5", "- fact 4"]


def test_a_card_without_a_book_has_no_facts(card):
    del card["data"]["character_book"]
    assert facts(card, "rye") == ""


def test_macros_of_any_case_are_filled(card):
    assert spoken(card, "{{Char}} and {{USER}}, <BOT>", 99) == "Ada Falk and somebody, Ada Falk"
