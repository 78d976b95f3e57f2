"""The gate's contract in memory."""

import asyncio

import pytest

from tasks.errors import RedisAwayError
from tasks.gate.gate import Gate
from tasks.gate.in_memory import MemoryRules
from tasks.gate.rules import Answer, Question, Rules
from tasks.schemas.limits import Limits
from tests.contracts.gate import GateContract


@pytest.fixture
def rules() -> Rules:
    """Keep the limits in memory."""
    return MemoryRules()


class TestGateInMemory(GateContract):
    """All of it."""


class BrokenRules(MemoryRules):
    """Rules with a defect, until it is mended."""

    broken = True

    def at_once(self, question: Question) -> Answer | None:
        return None

    async def exchange(self, question: Question) -> Answer:
        if self.broken:
            raise ZeroDivisionError
        return await super().exchange(question)


@pytest.mark.anyio
async def test_a_defect_of_the_rules_reaches_every_caller_and_the_line_goes_on() -> None:
    rules = BrokenRules()
    gate = Gate(rules, {"p": Limits(slots=1)})
    calls = await asyncio.gather(*(gate.acquire("p") for _ in range(3)), return_exceptions=True)
    assert [type(call) for call in calls] == [ZeroDivisionError] * 3
    rules.broken = False
    await gate.settle(await asyncio.wait_for(gate.acquire("p"), 5))
    await gate.close()


class AwayRules(MemoryRules):
    """Rules whose Redis is away until somebody says otherwise."""

    away = False

    def at_once(self, question: Question) -> Answer | None:
        return None

    async def exchange(self, question: Question) -> Answer:
        if self.away:
            raise RedisAwayError("Redis is away")
        return await super().exchange(question)


@pytest.mark.anyio
async def test_a_slot_that_could_not_be_returned_is_returned_when_redis_is_back() -> None:
    rules = AwayRules()
    gate = Gate(rules, {"p": Limits(slots=1)}, lease_s=3600)
    held = await gate.acquire("p")
    rules.away = True
    with pytest.raises(RedisAwayError):
        await gate.settle(held)
    with pytest.raises(RedisAwayError):
        await gate.acquire("p")
    rules.away = False
    async with asyncio.timeout(20):
        again = await gate.acquire("p")
    await gate.settle(again)
    await gate.close()


@pytest.mark.anyio
async def test_an_idle_gate_in_memory_answers_without_letting_anybody_else_run() -> None:
    gate = Gate(MemoryRules(), {"p": Limits(slots=1)})
    with pytest.raises(StopIteration) as granted:
        gate.acquire("p").send(None)
    assert gate.settle(granted.value.value).done()
    assert (await gate.state("p")).slots_in_use == 0
    await gate.close()


@pytest.mark.anyio
async def test_who_comes_when_a_slot_is_returned_does_not_overtake_who_waits() -> None:
    gate = Gate(MemoryRules(), {"p": Limits(slots=1)})
    order: list[str] = []

    async def call(name: str) -> None:
        granted = await gate.acquire("p")
        order.append(name)
        await asyncio.sleep(0)
        gate.settle(granted)

    held = await gate.acquire("p")
    waiting = asyncio.create_task(call("waited"))
    while not gate.waiting("p"):  # noqa: ASYNC110  # it is in the line after some turns
        await asyncio.sleep(0)
    gate.settle(held)
    await asyncio.gather(call("came later"), waiting)
    assert order == ["waited", "came later"]
    await gate.close()
