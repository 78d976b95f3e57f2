"""What `castline limits` says of a gate."""

import pytest

from producer.commands.limits import breaker_text, chosen, named, only_one, slots_text
from tasks.errors import BadInputError
from tasks.schemas.limits import GateState

CLOSED = GateState(
    provider="p",
    rpm=60,
    tpm=0,
    slots=20,
    slots_now=20,
    slots_in_use=3,
    breaker="closed",
    failures=0,
    open_s=0,
    blocked_s=0,
    changed=False,
)


def test_shrunk_slots_say_why() -> None:
    assert slots_text(CLOSED) == "20"
    assert "429" in slots_text(CLOSED.model_copy(update={"slots_now": 15}))


def test_an_open_breaker_says_for_how_long_and_why() -> None:
    state = CLOSED.model_copy(update={"breaker": "open", "open_s": 7.4, "failures": 10})
    assert breaker_text(state) == "open for 7 s more, after 10 failures in a row"
    assert breaker_text(CLOSED) == "closed"


def test_an_unknown_provider_is_named_with_those_that_are_known() -> None:
    with pytest.raises(BadInputError, match=r"'q' \(known: p\)"):
        chosen("q", ["p"])
    with pytest.raises(BadInputError, match="whose limits"):
        only_one(["p", "r"])


def test_set_may_stand_before_a_provider_that_is_to_be_changed() -> None:
    assert named(["set", "p"], changes=True) == named(["p"], changes=True) == "p"
    assert named(["set"], changes=True) == named([], changes=False) == ""
    with pytest.raises(BadInputError, match="what is to be set"):
        named(["set", "p"], changes=False)
    with pytest.raises(BadInputError, match="one provider at a time"):
        named(["p", "q"], changes=False)
