"""A property's name and surroundings say what it is about."""

import pytest

from tasks.llm.simulator.prose.subjects import FALLBACK, Field, subject_of


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("name", "name"),
        ("first_mes", "greeting"),
        ("firstName", "given_name"),
        ("favourite_hobbies", "hobby"),
        ("hair_color", "hair"),
        ("toneOfVoice", "voice"),
        ("mes_example", "example_dialogue"),
        ("post_history_instructions", "instruction"),
        ("keys", "key"),
        ("image_prompt", "image_prompt"),
        ("weather_today", "weather"),
        ("personality_traits", "trait"),
        ("职业", "occupation"),
        ("zzyzx", FALLBACK),
    ],
)
def test_a_name_gives_its_subject(name: str, subject: str) -> None:
    assert subject_of(Field(name)) == subject


def test_the_description_decides_when_the_name_says_nothing() -> None:
    assert subject_of(Field("f1", (), "The weather that day")) == "weather"
    assert subject_of(Field("f1", (), "当天的心情")) == "mood"
    assert subject_of(Field("text", (), "The tweet itself")) == "tweet"


def test_surroundings_change_what_a_name_means() -> None:
    assert subject_of(Field("text", ("tweets",))) == "tweet"
    assert subject_of(Field("name", ("entries",))) == "caption"
    assert subject_of(Field("description", ("friends",))) == "relationship"
    assert subject_of(Field("content", ("DiscussionTurn",))) == "opinion"
