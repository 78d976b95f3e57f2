import pytest

from tasks.stages.picture import NEVER, Look, joined, look_of, picture_prompt, portrait_prompts

LOOK = Look(base="a tall man, red scarf", portrait="half a smile", negative="beard, text")


def test_the_look_stands_before_the_scene():
    positive, _ = picture_prompt("a pier in fog.", LOOK)
    assert positive.startswith("a tall man, red scarf, a pier in fog, ")


def test_a_portrait_has_the_look_and_the_framing():
    positive, _ = portrait_prompts(LOOK)
    assert positive.startswith("a tall man, red scarf, half a smile, ")
    assert "portrait" in positive


@pytest.mark.parametrize("prompts", [picture_prompt("x", LOOK), portrait_prompts(LOOK)])
def test_what_must_never_be_seen_is_in_every_negative_prompt_once(prompts):
    terms = prompts[1].split(", ")
    assert terms[0] == "beard"
    assert set(NEVER.split(", ")) <= set(terms)
    assert len(terms) == len(set(terms))


@pytest.mark.parametrize("prompts", [picture_prompt("x", LOOK), portrait_prompts(LOOK)])
def test_every_picture_shows_a_clothed_adult(prompts):
    assert "fully clothed adult" in prompts[0]


@pytest.mark.parametrize("word", ["nude", "Naked", "NSFW", "erotica", "gore", "topless"])
def test_words_that_are_not_safe_for_work_are_struck_out(word):
    scene, _ = picture_prompt(f"{word}, on a beach", LOOK)
    look, _ = picture_prompt("on a beach", Look(base=f"a {word} man", portrait="", negative=""))
    assert word.lower() not in scene.lower()
    assert word.lower() not in look.lower()
    assert "on a beach" in scene


def test_a_card_of_ours_has_its_visual_profile(card):
    assert look_of(card) == Look(
        base="a 43-year-old woman, grey plait, green eyes, linen apron",
        portrait="flour on one cheek, half a smile",
        negative="beard, text",
    )


def test_a_foreign_cards_look_is_its_description_cut_to_a_prompt(card):
    card["data"]["extensions"] = {}
    card["data"]["description"] = "{{char}}\nis tall. " + "Very tall. " * 100
    look = look_of(card)
    assert look.base.startswith("Ada Falk is tall. Very tall.")
    assert len(look.base) <= 301


def test_a_card_that_describes_nothing_is_drawn_by_its_name(card):
    card["data"]["extensions"] = {}
    card["data"]["description"] = ""
    assert look_of(card).base == "Ada Falk"
    assert portrait_prompts(look_of(card))[0].startswith("Ada Falk, head and shoulders")


def test_parts_are_joined_once_on_one_line():
    assert joined("a,", " b\nc. ", "", "a") == "a, b c"
