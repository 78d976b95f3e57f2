"""The gate's properties in memory."""

import asyncio
from collections.abc import Sequence

from hypothesis import given, settings

from tasks.gate.in_memory import MemoryRules
from tasks.schemas.limits import Limits
from tests.contracts.gate_properties import START_US, Action, Model, actions, limits


@settings(max_examples=400, deadline=None)
@given(limits=limits, script=actions)
def test_no_interleaving_exceeds_a_limit_and_everything_returns(
    limits: Limits, script: Sequence[Action]
) -> None:
    clock = [START_US]

    def advance(by: int) -> None:
        clock[0] += by

    rules = MemoryRules(now_us=lambda: clock[0])
    asyncio.run(Model(rules, limits, lambda: clock[0], advance).play(script))
