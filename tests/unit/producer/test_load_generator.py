"""The load is as hard as was asked, and what is late counts as slow."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from producer.load_generator import LoadPlan, Shot, generate
from tasks.errors import ProviderDownError

pytestmark = pytest.mark.anyio


class Time:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.s = 100.0

    def now(self) -> float:
        """Tell the time."""
        return self.s

    async def sleep(self, seconds: float) -> None:
        """Let others go on, then let time pass."""
        await asyncio.sleep(0)
        self.s += seconds


async def loaded(
    call: Callable[[int], Awaitable[object]], plan: LoadPlan, time: Time
) -> list[Shot]:
    """Generate a load."""
    shots: list[Shot] = []
    async with asyncio.timeout(10):
        await generate(call, plan, note=shots.append, now=time.now, sleep=time.sleep)
    return shots


async def test_a_steady_rate_for_so_many_seconds() -> None:
    time, at = Time(), list[float]()

    async def call(_: int) -> None:
        at.append(time.s - 100)

    shots = await loaded(call, LoadPlan(rate=10, seconds=2, in_flight=5), time)
    assert len(shots) == len(at) == 20
    assert at == pytest.approx([number / 10 for number in range(20)])
    assert not any(shot.error for shot in shots)


async def test_no_more_at_once_and_who_had_to_wait_counts_from_when_it_was_due() -> None:
    time, under_way, most = Time(), 0, 0

    async def call(_: int) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await time.sleep(1.0)
        under_way -= 1

    shots = await loaded(call, LoadPlan(rate=10, seconds=3, in_flight=1), time)
    assert most == 1
    assert 3 <= len(shots) <= 4  # one a second, though ten were due
    took = [shot.took_s for shot in shots]
    assert all(later > earlier + 0.5 for earlier, later in pairwise(took))


async def test_without_a_rate_calls_follow_each_other() -> None:
    time = Time()

    async def call(_: int) -> None:
        await time.sleep(0.5)

    shots = await loaded(call, LoadPlan(rate=0, seconds=2, in_flight=1), time)
    assert [shot.took_s for shot in shots] == [0.5] * len(shots)
    assert 4 <= len(shots) <= 5


async def test_our_errors_are_counted_and_others_end_the_load() -> None:
    async def down(_: int) -> None:
        raise ProviderDownError("away")

    async def broken(_: int) -> None:
        raise KeyError("k")

    plan = LoadPlan(rate=10, seconds=0.2, in_flight=1)
    assert [shot.error for shot in await loaded(down, plan, Time())] == ["ProviderDownError"] * 2
    with pytest.raises(ExceptionGroup):
        await loaded(broken, plan, Time())
