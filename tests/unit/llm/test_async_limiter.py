"""The limiter: so many at once, so many in a minute, in their order."""

import asyncio
import time

import pytest

from tasks.errors import BadInputError
from tasks.llm.async_limiter import AsyncLimiter

pytestmark = pytest.mark.anyio


async def test_no_more_blocks_are_under_way_than_may_be_and_they_begin_in_order() -> None:
    limiter = AsyncLimiter(at_once=3)
    now, most, begun = 0, 0, []

    async def block(number: int) -> None:
        nonlocal now, most
        async with limiter:
            begun.append(number)
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.001)
            now -= 1
            if number == 5:
                raise ValueError

    ends = await asyncio.gather(*(block(n) for n in range(20)), return_exceptions=True)
    assert most == 3
    assert begun == list(range(20))
    assert [type(end) for end in ends if end is not None] == [ValueError]
    assert limiter.waiting == 0


async def test_blocks_are_paced() -> None:
    limiter = AsyncLimiter(per_minute=600)
    begun_s = time.monotonic()
    for _ in range(10):
        async with limiter:
            pass
    assert time.monotonic() - begun_s >= 0.4  # five at once, then ten a second


async def test_who_gives_up_waiting_leaves_its_place_to_others() -> None:
    limiter = AsyncLimiter(at_once=1)

    async def enter(timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s), limiter:
            pass

    async with limiter:
        with pytest.raises(TimeoutError):
            await enter(0.01)
    await enter(5)


@pytest.mark.parametrize("wrong", [{"per_minute": -1}, {"at_once": 0}])
def test_a_wrong_number_is_named(wrong: dict[str, int]) -> None:
    with pytest.raises(BadInputError, match=next(iter(wrong))):
        AsyncLimiter(**wrong)
