"""The two lexicons say the same kinds of things, each in its own script."""

import pytest

from tasks.llm.simulator.prose.lexicon import lexicon
from tasks.llm.simulator.prose.subjects import _WORDS

_PICTURES = {"image_prompt", "negative_prompt"}
_MADE_ELSEWHERE = {"name", "given_name", "surname", "date", "clock", "uri", "email", "digits"}
_NAMES = {"feminine", "masculine", "surname"}


def test_the_english_lexicon_is_ascii() -> None:
    wrong = [text for texts in lexicon("english").values() for text in texts if not text.isascii()]
    assert wrong == []


def test_every_subject_has_a_rule_in_both_languages() -> None:
    for language, known in (("english", lexicon("english")), ("chinese", lexicon("chinese"))):
        missing = set(_WORDS) - known.keys() - _MADE_ELSEWHERE
        assert missing <= (_PICTURES if language == "chinese" else set()), language


def test_both_languages_have_the_same_rules() -> None:
    english = lexicon("english").keys() - _NAMES - _PICTURES
    chinese = {rule for rule in lexicon("chinese") if not rule.startswith(("feminine", "masc"))}
    assert english == chinese - _NAMES


@pytest.mark.parametrize("language", ["english", "chinese"])
def test_no_rule_says_the_same_thing_twice(language: str) -> None:
    for rule, texts in lexicon(language).items():
        assert texts, rule
        assert len(set(texts)) == len(texts), rule


def test_there_are_more_than_ten_thousand_names_in_each_language() -> None:
    english, chinese = lexicon("english"), lexicon("chinese")
    given = len(english["feminine"]) + len(english["masculine"])
    assert given * len(english["surname"]) > 10_000
    feminine = len(chinese["feminine_first"]) * len(chinese["feminine_second"])
    assert 2 * feminine * len(chinese["surname"]) > 10_000
