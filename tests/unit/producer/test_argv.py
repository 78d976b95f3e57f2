"""Rows of values."""

import pytest

from producer.argv import repeated


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("run --brief a b --tweets 3", "run --brief a --brief b --tweets 3"),
        ("run --brief a --brief b", "run --brief a --brief b"),
        ("status RUN --json", "status RUN --json"),
        ("images --tweets a b --seed 1", "images --tweets a --tweets b --seed 1"),
        ("run --tweets 3 --text x", "run --tweets 3 --text x"),
        ("run --brief=a --text b c", "run --brief=a --text b --text c"),
    ],
)
def test_a_row_of_values_repeats_its_option_and_nothing_else_changes(
    given: str, expected: str
) -> None:
    assert repeated(given.split()) == expected.split()
