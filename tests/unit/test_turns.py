"""Turns: in order, one per round of the loop, and a caller who leaves holds nobody up."""

import asyncio

import pytest

from tasks.turns import Turns

pytestmark = pytest.mark.anyio


async def test_callers_go_on_in_their_order_with_the_loop_in_between() -> None:
    turns = Turns()
    seen: list[str] = []

    async def caller(name: str) -> None:
        await turns.mine()
        seen.append(name)
        asyncio.get_running_loop().call_soon(seen.append, "loop")

    await asyncio.gather(*(caller(name) for name in "abc"))
    assert seen[:5] == ["a", "loop", "b", "loop", "c"]


async def test_a_caller_that_is_cancelled_gives_its_turn_to_the_next() -> None:
    turns = Turns()
    first, second = (asyncio.ensure_future(turns.mine()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait_for(second, 5)
    assert first.cancelled()


async def test_a_queue_that_ran_empty_serves_again() -> None:
    turns = Turns()
    await turns.mine()
    await asyncio.sleep(0)
    await asyncio.wait_for(turns.mine(), 5)
