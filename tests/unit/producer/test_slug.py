import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.slug import MAX_LENGTH, slugs


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Mei Lin", "mei-lin"),
        ("Zoë  O'Brien-Łuk", "zoe-o-brien-luk"),
        ("../../etc/passwd", "etc-passwd"),
        ("林小雨", "character-01"),
        ("Q", "character-01"),
        ("", "character-01"),
        ("CON", "character-con"),
        ("com1", "character-com1"),
        ("Straße", "strasse"),
    ],
)
def test_a_name_becomes_a_readable_folder_name(name: str, expected: str) -> None:
    assert slugs([name]) == (expected,)


def test_names_without_latin_letters_are_numbered_by_their_place() -> None:
    assert slugs(["Ana", "林小雨", "陈"]) == ("ana", "character-02", "character-03")


def test_repeated_names_are_told_apart() -> None:
    assert slugs(["Ana", "ANA", "ana-2", "Ana"]) == ("ana", "ana-2", "ana-2-2", "ana-3")


def test_a_numbered_name_gives_way_to_a_character_of_that_name() -> None:
    assert slugs(["Character 02", "林"]) == ("character-02", "character-02-2")


@given(st.lists(st.text(max_size=90), max_size=12))
def test_slugs_are_unique_short_and_plain_whatever_the_names(names: list[str]) -> None:
    found = slugs(names)
    assert len(found) == len(names) == len(set(found))
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", text) for text in found)
    assert all(len(text) <= MAX_LENGTH for text in found)


@given(st.integers(min_value=2, max_value=14))
def test_long_names_that_are_the_same_stay_within_the_length(times: int) -> None:
    found = slugs(["x" * 90] * times)
    assert len(set(found)) == times
    assert max(map(len, found)) == MAX_LENGTH
