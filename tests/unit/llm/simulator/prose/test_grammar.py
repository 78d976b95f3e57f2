"""Templates expand to seeded text."""

import random

import pytest

from tasks.llm.simulator.prose.grammar import Grammar


def expanded(rules: dict[str, tuple[str, ...]], rule: str, **bound: str) -> str:
    return Grammar(rules, given=frozenset(bound)).expand(rule, random.Random(1), dict(bound))


def test_a_bound_slot_keeps_its_text_and_a_free_one_may_change() -> None:
    grammar = Grammar({"n": tuple("0123456789"), "t": ("[=n][=n][=n] [n][n][n][n][n]",)})
    bound, free = grammar.expand("t", random.Random(3), {}).split(" ")
    assert len(set(bound)) == 1
    assert len(set(free)) > 1


def test_articles_and_capitals_follow_the_word() -> None:
    rules = {"thing": ("owl",), "other": ("cat",), "t": ("[a thing], [A other], [Thing]",)}
    assert expanded(rules, "t") == "an owl, A cat, Owl"


def test_double_braces_stay_as_they_are() -> None:
    assert expanded({"x": ("[y]",), "y": ("{{user}}!",)}, "x") == "{{user}}!"


def test_two_equal_slots_of_one_template_do_not_say_the_same_twice() -> None:
    grammar = Grammar({"n": ("a", "b"), "t": ("[n] and [n]",)})
    said = {grammar.expand("t", random.Random(seed), {}) for seed in range(40)}
    assert {"a and b", "b and a"} <= said
    assert (
        len([1 for seed in range(40) if "a and a" in grammar.expand("t", random.Random(seed), {})])
        < 8
    )


def test_a_slot_without_a_rule_is_found_at_once() -> None:
    with pytest.raises(KeyError, match="moood"):
        Grammar({"t": ("[moood]",)})
