"""Labelled lines, languages and schemas are read from a prompt."""

import datetime
import json

import pytest

from tasks.llm.simulator.prompt import language_of, prompt_of, schema_in, text_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Write a tweet about rain.", "en"),
        ("写一条关于下雨的推文。", "zh"),
        ("Write in Chinese. The brief: a baker.", "zh"),
        ("请写一条推文。Write in English.", "en"),
        ("请用中文回答。The brief is long and it is in plain words.", "zh"),
        ("A baker called 小满 who sells bread in a town by the sea.", "en"),
        ("Write in English. No: write in Simplified Chinese.", "zh"),
        ("", "en"),
    ],
)
def test_the_language_is_what_is_asked_else_what_is_mostly_written(
    text: str, language: str
) -> None:
    assert language_of(text) == language


def test_labelled_lines_are_read_wherever_they_stand() -> None:
    prompt = prompt_of(
        "Hello.\ncalendar-days: 2026-11-24, 2026-11-25\n- character-name: Ada Falk\n"
        'taken-names: Una Birch, Max Oakes\nMarker: ZEBRA\n"topic": "night trains",\n'
        "marker: PONY and more\ntaken-names: 林宁"
    )
    assert prompt.days == (datetime.date(2026, 11, 24), datetime.date(2026, 11, 25))
    assert prompt.character_name == "Ada Falk"
    assert prompt.taken_names == {"una birch", "max oakes", "林宁"}
    assert prompt.markers == ("ZEBRA", "PONY")
    assert prompt.told["topic"] == "night trains"


def test_a_day_that_does_not_exist_is_passed_over() -> None:
    assert prompt_of("calendar-days: 2026-02-30, 2026-03-01").days == (datetime.date(2026, 3, 1),)


def test_a_mention_inside_a_sentence_is_no_label() -> None:
    assert prompt_of("Use the marker: it helps.").markers == ()


def test_the_texts_of_all_messages_count_and_pictures_do_not() -> None:
    parts = [
        {"type": "text", "text": "two"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    messages = [{"role": "system", "content": "one"}, {"role": "user", "content": parts}]
    assert text_of(messages).split() == ["one", "two"]


def test_the_last_schema_spelled_out_in_a_prompt_is_found() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    text = f'Example: {{"b": 1}} {{broken. Schema: {json.dumps(schema, indent=2)} Go.'
    assert schema_in(text) == schema
    assert schema_in('no schema {"b": {"properties": 1}}') is None
