"""Gathers small asks into batches, by number or by time, and brings each asker its own answer.

What a batch does is the caller's `execute`; this module owns who goes with whom and who hears what.
"""

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tasks.errors import CastlineError, ClientClosedError, QueueFullError

T = TypeVar("T")
R = TypeVar("R")

Execute = Callable[[Sequence[T]], Awaitable[Sequence[R | CastlineError]]]


@dataclass(order=True)
class Waiter(Generic[T, R]):
    """An ask that waits: lower priorities first, then earlier arrivals."""

    priority: int
    order: int
    item: T = field(compare=False)
    answer: "asyncio.Future[R]" = field(compare=False)


class MicroBatcher(Generic[T, R]):
    """Batches of at most `size`, begun when full and at the latest `deadline_s` after an ask came.

    At most `in_flight` batches are executed at once; what comes meanwhile waits longer, the urgent
    first, `max_waiting` asks at most. For one loop; close it there.
    """

    def __init__(
        self,
        execute: Execute[T, R],
        *,
        size: int = 20,
        deadline_s: float = 0.05,
        max_waiting: int = 1000,
        in_flight: int = 4,
    ) -> None:
        self._execute = execute
        self._size = size
        self._deadline_s = deadline_s
        self._max_waiting = max_waiting
        self._in_flight = in_flight
        self._waiting: list[Waiter[T, R]] = []
        self._order = itertools.count()
        self._batches: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._due = False
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many asks wait for their batch to begin."""
        return len(self._waiting)

    async def ask(self, item: T, *, priority: int = 0) -> R:
        """Wait for this item's own answer; lower priorities go first. Cancelling leaves the queue.

        Raises the error that `execute` has for this item or for its whole batch, QueueFullError
        when too many wait, ClientClosedError once it is closed.
        """
        if self._closed:
            raise ClientClosedError("the micro-batcher is closed")
        if len(self._waiting) >= self._max_waiting:
            raise QueueFullError(
                f"{len(self._waiting)} small questions wait already", hint="ask again later"
            )
        loop = asyncio.get_running_loop()
        waiter: Waiter[T, R] = Waiter(priority, next(self._order), item, loop.create_future())
        heapq.heappush(self._waiting, waiter)
        self._begin()
        try:
            return await waiter.answer
        finally:
            if waiter.answer.cancelled() and waiter in self._waiting:
                self._waiting.remove(waiter)
                heapq.heapify(self._waiting)
                self._set_timer()

    async def close(self) -> None:
        """Begin what waits at once, and wait until every asker has heard."""
        self._closed = True
        while self._waiting or self._batches:
            self._begin()
            await asyncio.wait(self._batches)

    def _begin(self) -> None:
        """Begin the batches that are full or due, as far as they fit."""
        while self._waiting and len(self._batches) < self._in_flight:
            if len(self._waiting) < self._size and not self._due and not self._closed:
                break
            self._due = False
            count = min(self._size, len(self._waiting))
            batch = [heapq.heappop(self._waiting) for _ in range(count)]
            task = asyncio.create_task(self._run(batch))
            self._batches.add(task)
            task.add_done_callback(self._ended)
        self._set_timer()

    def _set_timer(self) -> None:
        if not self._waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        elif self._waiting and self._timer is None and not self._due:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._deadline_s, self._time_is_up)

    def _time_is_up(self) -> None:
        self._timer, self._due = None, bool(self._waiting)
        self._begin()

    def _ended(self, batch: "asyncio.Task[None]") -> None:
        self._batches.discard(batch)
        self._begin()

    async def _run(self, batch: Sequence[Waiter[T, R]]) -> None:
        """Execute a batch and tell each asker its own answer; who left meanwhile is dropped."""
        batch = [waiter for waiter in batch if not waiter.answer.done()]
        if not batch:
            return
        try:
            answers = await self._execute([waiter.item for waiter in batch])
            if len(answers) != len(batch):
                raise RuntimeError(f"{len(answers)} answers for {len(batch)} items")
        except asyncio.CancelledError:
            for waiter in batch:
                waiter.answer.cancel()
            raise
        except Exception as error:  # noqa: BLE001 each asker raises it
            for waiter in batch:
                if not waiter.answer.done():
                    waiter.answer.set_exception(error)
            return
        for waiter, answer in zip(batch, answers, strict=True):
            if waiter.answer.done():
                continue  # cancelled meanwhile
            if isinstance(answer, CastlineError):
                waiter.answer.set_exception(answer)
            else:
                waiter.answer.set_result(answer)
