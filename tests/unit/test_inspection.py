"""A message of ours is told from anything else that can lie in a queue."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.inspection import fault_of
from tests.chaos.poison import POISON, message

KNOWN = {"persona.core", "tweet.write"}


def test_a_message_of_ours_has_no_fault() -> None:
    assert fault_of(json.dumps(message()).encode(), KNOWN) == ""


@pytest.mark.parametrize("name", POISON)
def test_every_poison_has_a_fault_that_says_what_is_wrong(name: str) -> None:
    assert fault_of(POISON[name], KNOWN) != ""


@given(st.binary(max_size=200))
def test_no_bytes_at_all_make_the_inspection_fail(raw: bytes) -> None:
    assert fault_of(raw, KNOWN) != ""


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(st.sampled_from(["body", "content-type", "headers", "properties"]), json_values)
def test_a_message_with_anything_else_in_one_place_never_fails_the_inspection(
    place: str, value: object
) -> None:
    assert isinstance(fault_of(json.dumps({**message(), place: value}).encode(), KNOWN), str)
