import asyncio

import pytest

from tasks.errors import BadInputError
from tasks.schemas.plan import Source
from tasks.stages.core import DIRECTIONS, observation_prompt, persona_prompt, write


def asked(messages) -> str:
    return messages[-1].content


def test_the_brief_is_in_the_prompt(make_inputs):
    assert "Brief:\nA night baker." in asked(persona_prompt(make_inputs(), None))


def test_taken_names_stand_on_a_line_of_their_own(make_inputs):
    text = asked(persona_prompt(make_inputs(taken_names=("Ada Falk", "Ivo Lind")), None))
    assert "taken-names: Ada Falk, Ivo Lind" in text.splitlines()
    assert "taken-names" not in asked(persona_prompt(make_inputs(), None))


def test_characters_of_one_brief_are_sent_in_different_directions(make_inputs):
    count = len(DIRECTIONS)
    texts = {
        asked(
            persona_prompt(
                make_inputs(source=Source(label="b", text="x", variant=n, variants=count)), None
            )
        )
        for n in range(1, count + 1)
    }
    assert len(texts) == count
    assert all(f"of {count}" in text for text in texts)


def test_a_single_character_has_no_direction(make_inputs):
    assert "direction" not in asked(persona_prompt(make_inputs(), None))


def test_looking_without_a_picture_is_refused(make_inputs):
    with pytest.raises(BadInputError):
        observation_prompt(make_inputs())


def test_a_picture_and_a_brief_are_both_used(ask, make_inputs):
    asyncio.run(write(make_inputs(image_data_url="data:image/png;base64,AA"), ask))
    text = ask.prompt("core.persona")
    assert "A night baker." in text
    assert "Clothing: apron" in text
