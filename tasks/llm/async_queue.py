"""A queue that works through a program's items in the background, the urgent first."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

from tasks.errors import BadInputError

T = TypeVar("T")
R = TypeVar("R")


class AsyncQueue(Generic[T, R]):
    """Puts items through one async function while its `async with` block lasts, on one loop.

    `workers` items are under way, `size` more wait; who puts in another waits until there is room.
    Leaving the block waits for all of them; leaving it by an error cancels them.
    """

    def __init__(
        self, process_func: Callable[[T], Awaitable[R]], workers: int = 5, size: int = 100
    ) -> None:
        """Raises BadInputError for numbers below 1."""
        for name, number in (("workers", workers), ("size", size)):
            if number < 1:
                raise BadInputError(f"{name}: {number!r} is not a whole number from 1")
        self._process = process_func
        self._count = workers
        self._order = itertools.count()
        self._items: asyncio.PriorityQueue[tuple[int, int, T, asyncio.Future[R]]] = (
            asyncio.PriorityQueue(size)
        )
        self._workers: list[asyncio.Task[None]] = []

    @property
    def waiting(self) -> int:
        """How many items wait for a worker."""
        return self._items.qsize()

    async def put(self, item: T, priority: int = 0) -> "asyncio.Future[R]":
        """Queue an item; lower priorities go first. Returns its result to be awaited.

        Cancelling the result drops an item that has not begun.
        """
        done: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        await self._items.put((priority, next(self._order), item, done))
        return done

    async def __aenter__(self) -> Self:
        self._workers = [asyncio.create_task(self._work()) for _ in range(self._count)]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                await self._items.join()
        finally:
            for worker in self._workers:
                worker.cancel()
            await asyncio.gather(*self._workers, return_exceptions=True)
            while not self._items.empty():
                self._items.get_nowait()[3].cancel()

    async def _work(self) -> None:
        while True:
            _, _, item, done = await self._items.get()
            try:
                if not done.done():
                    await self._answer(item, done)
            finally:
                self._items.task_done()

    async def _answer(self, item: T, done: "asyncio.Future[R]") -> None:
        """Process one item; its outcome is its asker's."""
        try:
            result = await self._process(item)
        except asyncio.CancelledError:
            done.cancel()
            worker = asyncio.current_task()
            if worker is None or worker.cancelling():  # else only the item was cancelled
                raise
        except Exception as error:  # noqa: BLE001 it is the item's result
            if not done.done():
                done.set_exception(error)
        else:
            if not done.done():
                done.set_result(result)
