"""What a signal means to an analysis: begin no more topics, or wait for nothing."""

from pathlib import Path
from typing import Any

import pytest

from producer.analyses import Order
from producer.commands.analyze import ONE_WISH_S, Analysing
from producer.console import INTERRUPTED, TERMINATED
from tasks.schemas.analyses import Analysis


def analysing(clock: list[float]) -> Analysing:
    """An analysis that nobody runs."""
    order = Order(analysis=Analysis(topics=("Clocks",)))
    nobody: Any = None
    return Analysing(
        nobody, order, Path("x.json"), quiet=True, as_json=False, clock=lambda: clock[0]
    )


@pytest.mark.parametrize(
    ("first", "second", "later_s", "at_once"),
    [
        (TERMINATED, TERMINATED, 0.0, False),  # timeout(1): to the command, and to its group
        (TERMINATED, TERMINATED, ONE_WISH_S + 0.1, True),
        (INTERRUPTED, INTERRUPTED, 0.1, True),
        (TERMINATED, INTERRUPTED, 0.1, True),
    ],
)
def test_a_second_wish_waits_for_nothing_and_an_echo_of_the_first_is_none(
    first: int, second: int, later_s: float, *, at_once: bool
) -> None:
    now_s = [100.0]
    one = analysing(now_s)
    one.stop(first)
    assert one.stopping.soon.is_set()
    assert not one.stopping.now.is_set()
    now_s[0] += later_s
    one.stop(second)
    assert one.stopping.now.is_set() == at_once
    assert one.code == first
