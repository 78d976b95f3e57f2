"""The queue: the urgent first, never too many at once, each result to its asker."""

import asyncio

import pytest

from tasks.errors import BadInputError
from tasks.llm.async_queue import AsyncQueue

pytestmark = pytest.mark.anyio


class Work:
    """Notes what is begun; nothing ends before it may."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.may_end = asyncio.Event()

    async def __call__(self, item: str) -> str:
        self.begun.append(item)
        await self.may_end.wait()
        if item == "bad":
            raise ValueError(item)
        if item == "lost":
            raise asyncio.CancelledError
        return item.upper()


async def until_begun(work: Work, count: int) -> None:
    """Let others run until so many have begun."""
    async with asyncio.timeout(5):
        while len(work.begun) < count:  # noqa: ASYNC110  # it takes some turns of the loop
            await asyncio.sleep(0)


async def test_the_urgent_go_first_and_each_hears_its_own_result() -> None:
    work = Work()
    async with AsyncQueue(work, workers=1) as queue:
        first = await queue.put("first")
        await until_begun(work, 1)
        later = [await queue.put(item, priority) for item, priority in (("b", 1), ("a", 0))]
        assert queue.waiting == 2
        work.may_end.set()
        assert [await first, *(await asyncio.gather(*later))] == ["FIRST", "B", "A"]
    assert work.begun == ["first", "a", "b"]


async def test_who_puts_in_another_waits_for_room() -> None:
    work = Work()
    async with AsyncQueue(work, workers=1, size=1) as queue:
        await queue.put("1")
        await until_begun(work, 1)
        await queue.put("2")
        third = asyncio.create_task(queue.put("3"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not third.done()
        work.may_end.set()
        assert await (await third) == "3"


async def test_one_failure_is_its_own_and_leaving_waits_for_all() -> None:
    work = Work()
    work.may_end.set()
    async with AsyncQueue(work, workers=1) as queue:
        results = [await queue.put(item) for item in ("a", "bad", "lost", "b")]
    assert (results[0].result(), results[3].result()) == ("A", "B")
    assert isinstance(results[1].exception(), ValueError)
    assert results[2].cancelled()


async def test_what_is_cancelled_before_it_begins_never_begins() -> None:
    work = Work()
    async with AsyncQueue(work, workers=1) as queue:
        await queue.put("a")
        await until_begun(work, 1)
        (await queue.put("b")).cancel()
        work.may_end.set()
    assert work.begun == ["a"]


async def test_leaving_by_an_error_cancels_what_is_left() -> None:
    work, results = Work(), []

    async def leave() -> None:
        async with AsyncQueue(work, workers=1) as queue:
            results.extend([await queue.put(item) for item in ("a", "b")])
            await until_begun(work, 1)
            raise KeyError

    with pytest.raises(KeyError):
        await leave()
    assert [result.cancelled() for result in results] == [True, True]


def test_a_wrong_number_is_named() -> None:
    with pytest.raises(BadInputError, match="workers"):
        AsyncQueue(Work(), workers=0)
    with pytest.raises(BadInputError, match="size"):
        AsyncQueue(Work(), size=0)
