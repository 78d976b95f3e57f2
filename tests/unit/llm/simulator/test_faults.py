"""Faults are parsed strictly and drawn repeatably."""

from collections import Counter

import pytest

from tasks.errors import BadInputError
from tasks.llm.simulator.faults import KINDS, Faults, fault_shares


def test_a_spec_gives_the_share_of_each_fault() -> None:
    assert fault_shares("429=0.1, 5xx=0.2,hang=0") == {"429": 0.1, "5xx": 0.2, "hang": 0.0}
    assert fault_shares("") == {}


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ("429=0.1,teapot=0.1", "teapot=0.1"),
        ("429=often", "429=often"),
        ("hang=1.5", "hang=1.5"),
        ("hang", "hang"),
        ("drop=nan", "drop=nan"),
        ("drop=0.1,drop=0.2", "drop=0.2"),
        ("429=0.7,5xx=0.7", "more than 1"),
    ],
)
def test_a_wrong_spec_is_refused_naming_the_part_and_the_allowed_ones(
    spec: str, named: str
) -> None:
    with pytest.raises(BadInputError, match=named) as caught:
        fault_shares(spec)
    assert all(kind in caught.value.hint for kind in KINDS)


def drawn(faults: Faults, key: str, attempts: int) -> list[str | None]:
    kinds = []
    for _ in range(attempts):
        kinds.append(faults.next_for(key))
        faults.count(key)
    return kinds


def test_the_same_seed_key_and_attempt_draw_the_same_fault() -> None:
    spec = "429=0.3,hang=0.3"
    one = drawn(Faults(spec, seed=1), "k", 30)
    assert one == drawn(Faults(spec, seed=1), "k", 30)
    assert one != drawn(Faults(spec, seed=2), "k", 30)
    assert one != drawn(Faults(spec, seed=1), "other", 30)
    assert len(set(one)) == 3


def test_a_fault_stays_until_its_attempt_is_counted() -> None:
    faults = Faults("429=0.5", seed=1)
    assert len({faults.next_for("k") for _ in range(20)}) == 1


def test_shares_are_met_over_many_keys() -> None:
    faults = Faults("429=0.25,drop=0.25", seed=5)
    counts = Counter(faults.next_for(f"k{n}") for n in range(2000))
    assert 430 < counts["429"] < 570
    assert 430 < counts["drop"] < 570
    assert 900 < counts[None] < 1100
