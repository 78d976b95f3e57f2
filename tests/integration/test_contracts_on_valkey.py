"""The ledger's and the gate's contracts on a real Valkey."""

import asyncio
from typing import Any

import pytest

from tasks.errors import ServiceAwayError
from tasks.gate import keys
from tasks.gate.on_redis import RedisRules
from tasks.gate.rules import Rules
from tests.contracts.gate import GateContract, gate_on, in_use
from tests.contracts.ledger import LedgerContract


@pytest.mark.integration
class TestLedgerOnValkey(LedgerContract):
    """All of it."""


@pytest.fixture
def rules(redis: Any) -> Rules:
    """Keep the limits in Valkey."""
    return RedisRules(redis)


@pytest.mark.integration
class TestGateOnValkey(GateContract):
    """All of it, and what only a server can do."""

    async def test_a_redis_that_is_away_grants_nothing_and_the_gate_recovers(
        self, redis: Any
    ) -> None:
        gate = gate_on(RedisRules(redis), slots=1)
        working = redis.pipeline

        def cut(**_: Any) -> Any:
            raise ConnectionError("cut")

        redis.pipeline = cut
        with pytest.raises(ServiceAwayError):
            await gate.acquire("p")
        redis.pipeline = working
        granted = await gate.acquire("p")
        await gate.settle(granted)
        assert await in_use(gate) == 0
        await gate.close()

    async def test_what_stops_calls_for_long_is_kept_as_long(self, redis: Any) -> None:
        gate = gate_on(RedisRules(redis), slots=2, breaker_failures=1, breaker_open_s=3600)
        first, second = await gate.acquire("p"), await gate.acquire("p")
        await gate.block("p", 7200)
        await gate.settle(first, ending="limited")
        assert await redis.pttl(keys.rates("p")) > 7_200_000
        await gate.change("p")
        await gate.settle(second, ending="down")
        assert 3_600_000 < await redis.pttl(keys.rates("p")) < 7_200_000
        await gate.close()

    async def test_a_slot_that_is_left_for_another_process_rings_its_bell(self, redis: Any) -> None:
        rules = RedisRules(redis)
        giver, taker = gate_on(rules, slots=1), gate_on(rules, slots=1)
        bells = rules.bells()
        rung = asyncio.ensure_future(anext(bells))
        await asyncio.sleep(0.5)  # it listens by then
        held = await giver.acquire("p")
        waiting = asyncio.create_task(taker.acquire("p"))
        await asyncio.sleep(0.5)  # and it waits in line
        giver.settle(held)
        assert await asyncio.wait_for(rung, 5) == "p"
        await taker.settle(await waiting)
        await asyncio.gather(giver.close(), taker.close())
