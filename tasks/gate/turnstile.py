"""Who of one process asks the gate next: by rank, then fairly across flows, then in order.

Within a rank, flows (a run's chains, a run's tweets) take turns by start-time fair queueing (Goyal,
Vin and Cheng, 1996), so a thousand calls of one do not keep ten of another waiting. Only the head
asks Redis.
"""

import asyncio
import contextlib
import heapq
import itertools
from collections.abc import AsyncIterator

Waiter = tuple[int, int, int, "asyncio.Future[None]"]


class Turnstile:
    """A queue whose head is inside; everybody else waits."""

    def __init__(self) -> None:
        self._waiting: list[Waiter] = []
        self._order = itertools.count()
        self._virtual = 0
        self._last: dict[str, int] = {}
        self._occupied = False

    @contextlib.asynccontextmanager
    async def turn(self, *, rank: int, flow: str) -> AsyncIterator[None]:
        """Wait for our turn, then hold it; lower ranks go first."""
        start = max(self._virtual, self._last.get(flow, 0))
        self._last[flow] = start + 1
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (rank, start, next(self._order), ready))
        self._admit()
        try:
            await ready
        except asyncio.CancelledError:
            if ready.done() and not ready.cancelled():
                self._leave()
            raise
        try:
            yield
        finally:
            self._leave()

    def _admit(self) -> None:
        while self._waiting and not self._occupied:
            _, start, _, ready = heapq.heappop(self._waiting)
            if not ready.cancelled():
                self._occupied = True
                self._virtual = max(self._virtual, start)
                ready.set_result(None)
        if not self._waiting and not self._occupied:
            self._last.clear()

    def _leave(self) -> None:
        self._occupied = False
        self._admit()
