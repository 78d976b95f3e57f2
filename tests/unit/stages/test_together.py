import asyncio

import pytest

from tasks.stages.together import together


async def after(turns: int, value: str) -> str:
    for _ in range(turns):
        await asyncio.sleep(0)
    return value


def test_results_come_in_the_order_of_the_calls():
    assert asyncio.run(together([after(3, "a"), after(0, "b")])) == ["a", "b"]


def test_when_one_fails_the_others_are_cancelled_before_the_error_is_raised():
    ended: list[str] = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    async def both() -> None:
        with pytest.raises(ValueError, match="no"):
            await together([endless(), fails()])
        assert ended == ["cancelled"]

    asyncio.run(both())
