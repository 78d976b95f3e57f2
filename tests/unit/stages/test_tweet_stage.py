import asyncio
import copy

import pytest

from tasks.schemas.documents import TweetReply
from tasks.stages.tweet import unquoted, weekday, write
from tasks.stages.tweet_length import tweet_length

DAY = {"topic": "rye", "note": "two\nlines", "extra": {"deep": [1, "茶"]}}


def tweet_inputs(make_inputs, card, **changes):
    return make_inputs(card=card, slot=3, date="2026-12-03", day=DAY, **changes)


def test_a_tweet_is_one_call_with_the_character_and_the_day_in_it(ask, make_inputs, card):
    written = asyncio.run(write(tweet_inputs(make_inputs, card), ask))
    assert ask.names == ["tweet"]
    lines = ask.prompt("tweet").splitlines()
    assert "character-name: Ada Falk" in lines
    assert "day: Thursday 2026-12-03" in lines
    assert "topic: rye" in lines
    assert "note: two lines" in lines
    assert 'extra: {"deep": [1, "茶"]}' in lines
    assert (written.slot, written.date, written.text) == (3, "2026-12-03", "Rye again.")
    assert (written.length, written.shortened) == (10, False)


def test_the_prompt_shows_the_voice_and_what_the_day_calls_up(ask, make_inputs, card):
    asyncio.run(write(tweet_inputs(make_inputs, card), ask))
    text = ask.prompt("tweet")
    assert "- Loaf 0 is done." in text
    assert "typing habits: no capitals" in text
    assert "- Ada Falk bakes rye on Fridays." in text
    assert "The harbour freezes" not in text


def test_notes_for_humans_and_chat_instructions_stay_out_of_the_prompt(ask, make_inputs, card):
    marked = copy.deepcopy(card)
    for field in ("creator_notes", "creator", "character_version", "system_prompt",
                  "post_history_instructions"):  # fmt: skip
        marked["data"][field] = f"ZEBRA {field}"
    asyncio.run(write(tweet_inputs(make_inputs, marked), ask))
    assert "ZEBRA" not in ask.prompt("tweet")


def test_the_picture_keeps_the_characters_looks(ask, make_inputs, card):
    written = asyncio.run(write(tweet_inputs(make_inputs, card), ask))
    assert "43-year-old woman, grey plait, green eyes, linen apron" in written.image_prompt
    assert "a loaf on a sill" in written.image_prompt
    assert "beard" in written.negative_prompt
    assert "nudity" in written.negative_prompt


def test_a_tweet_that_is_too_long_is_asked_for_again_with_its_length(ask, make_inputs, card):
    ask.answers["tweet"] = TweetReply(text="茶" * 141, image_prompt="tea")
    ask.answers["tweet.shorter"] = TweetReply(text="Short.", image_prompt="tea")
    written = asyncio.run(write(tweet_inputs(make_inputs, card), ask))
    assert ask.names == ["tweet", "tweet.shorter"]
    assert [m.role for m in ask.calls[1].messages] == ["system", "user", "assistant", "user"]
    assert "282 characters" in ask.calls[1].messages[-1].content
    assert (written.text, written.shortened) == ("Short.", False)


def test_a_tweet_that_stays_too_long_is_cut_and_says_so(ask, make_inputs, card):
    long = TweetReply(text="so many words " * 30, image_prompt="tea")
    ask.answers["tweet"] = ask.answers["tweet.shorter"] = long
    written = asyncio.run(write(tweet_inputs(make_inputs, card), ask))
    assert written.shortened is True
    assert written.text.endswith("…")
    assert written.length == tweet_length(written.text) <= 280


def test_a_tweet_that_just_fits_is_not_asked_for_again(ask, make_inputs, card):
    ask.answers["tweet"] = TweetReply(text="茶" * 140, image_prompt="tea")
    asyncio.run(write(tweet_inputs(make_inputs, card), ask))
    assert ask.names == ["tweet"]


def test_macros_do_not_reach_the_tweet(ask, make_inputs, card):
    ask.answers["tweet"] = TweetReply(text="I am {{char}}, {{user}}.", image_prompt="{{char}} sits")
    written = asyncio.run(write(tweet_inputs(make_inputs, card), ask))
    assert written.text == "I am Ada Falk, you."
    assert "Ada Falk sits" in written.image_prompt


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ('"Rye."', "Rye."),
        ("“Rye.”", "Rye."),
        ("「茶」", "茶"),
        ('"Rye," she said. "Again."', '"Rye," she said. "Again."'),
        ("It's the '90s", "It's the '90s"),
        ('"', '"'),
        ('""', '""'),
        ("  Rye. ", "Rye."),
    ],
)
def test_quotation_marks_around_a_whole_tweet_are_taken_off(text, bare):
    assert unquoted(text) == bare


def test_a_day_that_is_no_date_stays_what_it_is():
    assert weekday("") == ""
    assert weekday("someday") == "someday"


def minimal_card(**extensions):
    data = dict.fromkeys(
        ("personality", "scenario", "first_mes", "mes_example", "creator_notes", "system_prompt",
         "post_history_instructions", "creator", "character_version"), "",
    )  # fmt: skip
    data |= {"name": "Bo", "description": "{{char}} is tall.", "extensions": extensions}
    data |= {"alternate_greetings": [], "tags": []}
    return {"spec": "chara_card_v2", "spec_version": "2.0", "data": data}


@pytest.mark.parametrize(
    "own",
    [
        None,
        [],
        "text",
        {"core": 3, "strategy": [], "visual_profile": None, "example_tweets": {"a": 1}},
        {"core": {"age": [1], "goals": "x"}, "social_network": {"close": [1, {"name": None}]}},
        {"visual_profile": {"base_prompt": 5}, "authenticity": {"typing_habits": {}}},
        {"example_tweets": ["x", {"text": None}, {}]},
    ],
)
def test_a_foreign_card_with_anything_under_our_name_still_gets_its_tweet(own, ask, make_inputs):
    card = minimal_card(castline=own)
    written = asyncio.run(write(tweet_inputs(make_inputs, card), ask))
    assert written.text == "Rye again."
    assert "character-name: Bo" in ask.prompt("tweet").splitlines()


def test_a_card_without_a_visual_profile_is_drawn_after_its_description(ask, make_inputs):
    written = asyncio.run(write(tweet_inputs(make_inputs, minimal_card()), ask))
    assert written.image_prompt.startswith("Bo is tall, a loaf on a sill")
