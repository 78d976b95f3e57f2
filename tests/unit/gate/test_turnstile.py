"""One at a time, in a fair order."""

import asyncio

import pytest

from tasks.gate.turnstile import Turnstile


async def order_of(*callers: tuple[int, str]) -> list[tuple[int, str]]:
    """Let callers of (rank, flow) arrive at a taken turnstile; note in what order they enter."""
    turnstile, entered = Turnstile(), []
    opened = asyncio.Event()

    async def blocker() -> None:
        async with turnstile.turn(rank=0, flow="blocker"):
            await opened.wait()

    async def caller(rank: int, flow: str) -> None:
        async with turnstile.turn(rank=rank, flow=flow):
            entered.append((rank, flow))

    tasks = [asyncio.create_task(blocker())]
    await asyncio.sleep(0)
    for rank, flow in callers:
        tasks.append(asyncio.create_task(caller(rank, flow)))
        await asyncio.sleep(0)
    opened.set()
    await asyncio.gather(*tasks)
    return entered


@pytest.mark.anyio
async def test_lower_ranks_go_first_and_equals_in_order() -> None:
    callers = [(2, "a"), (1, "b"), (0, "c"), (1, "d")]
    assert await order_of(*callers) == [(0, "c"), (1, "b"), (1, "d"), (2, "a")]


@pytest.mark.anyio
async def test_a_flow_of_few_calls_does_not_wait_for_a_flow_of_many() -> None:
    entered = await order_of(*[(0, "many")] * 6, (0, "few"), (0, "few"))
    assert entered.index((0, "few")) <= 2
    assert [flow for _, flow in entered[-4:]] == ["many"] * 4


@pytest.mark.anyio
async def test_a_caller_that_gives_up_does_not_block_the_others() -> None:
    turnstile = Turnstile()
    inside = asyncio.Event()

    async def hold(seconds: float) -> None:
        async with turnstile.turn(rank=0, flow="r"):
            inside.set()
            await asyncio.sleep(seconds)

    first = asyncio.create_task(hold(0.05))
    await inside.wait()
    second = asyncio.create_task(hold(10))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait_for(hold(0), 5)
    await first
    with pytest.raises(asyncio.CancelledError):
        await second
