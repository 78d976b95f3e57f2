"""Samples of a regular expression match it."""

import random
import re

import pytest

from tasks.llm.simulator.schema.document import UnusableSchemaError
from tasks.llm.simulator.schema.pattern import matching


@pytest.mark.parametrize(
    "pattern",
    [
        r"^\d{4}-\d{2}-\d{2}$",
        r"^[A-Za-z_][A-Za-z0-9_]{0,15}$",
        r"^(?:red|green|blue)(-\w+)?$",
        r"^[^\s\d]{3,5}\.$",
        r"^\+?\d(?: \d{3}){2}\s?\S*$",
        r"(?P<a>x|y)z{2,}",
        r"^[\u4e00-\u4e10]{2}$",
        r"^.{5}[^a]\W\D$",
    ],
)
def test_a_sample_matches_its_pattern(pattern: str) -> None:
    for seed in range(30):
        assert re.search(pattern, matching(pattern, random.Random(seed)))


def test_open_ended_repeats_stretch_to_the_least_length() -> None:
    assert len(matching(r"^[a-z]+$", random.Random(1), least=50)) >= 50


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(UnusableSchemaError, match="unsupported pattern"):
        matching(r"\p{L}+", random.Random(1))
