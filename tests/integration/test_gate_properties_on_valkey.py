"""The gate's properties on a real Valkey, with a clock of the test's own."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings

from tasks.connection import connect
from tasks.gate.on_redis import RedisRules
from tasks.schemas.limits import Limits
from tests.contracts.gate_properties import START_US, Action, Model, actions, limits


@pytest.mark.integration
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(limits=limits, script=actions)
def test_no_interleaving_exceeds_a_limit_and_everything_returns_on_valkey(
    valkey_url: str, limits: Limits, script: Sequence[Action]
) -> None:
    asyncio.run(play(valkey_url, limits, script))


async def play(url: str, limits: Limits, script: Sequence[Action]) -> None:
    """Play a script on an empty database."""
    clock = [START_US]

    def advance(by: int) -> None:
        clock[0] += by

    redis = connect(url)
    await redis.flushdb()
    rules = RedisRules(redis, now_us=lambda: clock[0])
    try:
        await Model(rules, limits, lambda: clock[0], advance).play(script)
    finally:
        await redis.aclose()
