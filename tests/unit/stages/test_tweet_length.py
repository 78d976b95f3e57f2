"""Lengths as twitter-text 3 counts them, and cuts that X would accept."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.stages.tweet_length import LIMIT, pieces, shorten, tweet_length

FAMILY = "👨‍👩‍👧‍👦"


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("", 0),
        ("This is a test.", 15),
        ("naïve café, été", 15),
        ("cafe\u0301", 4),  # NFC makes one letter of two
        ("Привет", 6),
        ("שלום", 4),
        ("\u10ff\u1100", 3),  # 4351 is the last light one
        ("\u2010\u201f\u2020", 4),
        ("“quoted” — dash", 15),
        ("…", 2),
        ("€", 2),
        ("茶", 2),
        ("のののの", 8),
        ("저찀쯿쿿", 8),
        ("，。", 4),
        ("🐱", 2),
        ("H🐱☺", 5),
        (FAMILY, 2),
        ("👩🏽‍🚀", 2),
        ("👍🏿👍", 4),
        ("🇳🇴", 2),
        ("🇳🇴🇸🇪", 4),
        ("🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", 2),
        ("1️⃣", 2),
        ("#️⃣", 2),
        ("#1 *2", 5),
        ("❤️", 2),
        ("🏳️‍🌈", 2),
        ("☀\ufe0e", 4),  # told to be text: two heavy code points
        ("©", 1),
        ("©\ufe0f", 2),
        ("\U00010000\U0010ffff", 4),
        ("https://test.com", 23),
        ("http://test.com", 23),
        ("test.com", 23),
        ("Test https://test.com test https://test.com test.com test", 86),
        ("https://example.com/" + "a" * 300, 23),
        ("see https://example.com.", 28),
        ("https://example.com你好", 27),
        ("a\nb", 3),
    ],
)
def test_a_text_weighs(text, length):
    assert tweet_length(text) == length


def test_two_hundred_and_eighty_light_or_hundred_and_forty_heavy_fit():
    for text in ("a" * 280, "茶" * 140, FAMILY * 140):
        assert tweet_length(text) == LIMIT
        assert shorten(text) == text


def test_a_long_text_is_cut_after_a_sentence():
    text = "I waited for the ferry. " * 9 + "Then it came and nobody was on it, " * 4
    cut = shorten(text)
    assert cut == ("I waited for the ferry. " * 9).rstrip() + " …"


def test_a_long_text_without_a_late_sentence_is_cut_between_words():
    cut = shorten("word " * 80)
    assert cut.endswith("word…")
    assert tweet_length(cut) > 270


def test_a_word_that_ends_exactly_at_the_cut_is_kept():
    text = "a" * 276 + " " + "b" * 30
    assert shorten(text) == "a" * 276 + "…"


def test_chinese_is_cut_after_its_sentences_and_else_between_characters():
    assert shorten("今天泡了一壶茶。" * 30).endswith("茶。…")
    cut = shorten("茶" * 200)
    assert cut == "茶" * 138 + "…"


def test_an_emoji_is_never_cut_in_two():
    cut = shorten("a" + FAMILY * 200)
    assert set(cut.removesuffix("…").split(FAMILY)) == {"a", ""}


def test_an_accent_stays_with_its_letter():
    letter = "x\u0323\u0306"
    assert shorten(letter * 200).removesuffix("…").replace(letter, "") == ""


def test_a_url_is_never_cut_in_two():
    url = "https://example.com/" + "a" * 60
    cut = shorten("b" * 260 + " " + url)
    assert cut == "b" * 260 + "…"


words = st.text(alphabet="ab é茶。.!? \n,👩🏽‍❤️🇳🇴x\u0301/:", max_size=500)


@settings(max_examples=150, deadline=None)
@given(words | st.text(max_size=400))
def test_a_cut_text_always_fits_and_says_nothing_new(text):
    cut = shorten(text)
    assert tweet_length(cut) <= LIMIT
    whole = unicodedata.normalize("NFC", text)
    assert cut == whole or whole.startswith(cut.removesuffix("…").removesuffix(" "))
    assert shorten(cut) == cut


@settings(max_examples=100, deadline=None)
@given(words | st.text(max_size=200))
def test_the_pieces_of_a_text_are_the_text(text):
    assert "".join(piece.text for piece in pieces(text)) == text
