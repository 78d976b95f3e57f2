"""How many calls of one client are under way at once, and how many more may wait for that."""

import asyncio
from collections import deque

from tasks.errors import QueueFullError


class Admission:
    """Places for calls, first come first served, on one loop."""

    def __init__(self, *, places: int, queue_size: int) -> None:
        self.in_flight = 0
        self._places = places
        self._queue_size = queue_size
        self._queued = 0
        self._line: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return sum(not one.done() for one in self._line)

    def try_enter(self) -> bool:
        """Take a place, which must be left again, if one is free."""
        if self.in_flight >= self._places:
            return False
        self.in_flight += 1
        return True

    async def enter(self, *, patient: bool = False) -> None:
        """Wait for a place, which must be left again.

        Raises QueueFullError when as many wait as may; somebody `patient`, who holds the others
        back at the source, is never refused.
        """
        if self.try_enter():
            return
        if self._queued >= self._queue_size and not patient:
            raise QueueFullError(
                f"{self._queued} calls wait in this client already",
                hint="raise LLM_ASYNC_QUEUE_SIZE or LLM_ASYNC_WORKERS, or use batch()",
            )
        handed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(handed)
        self._queued += not patient
        try:
            await handed
        except asyncio.CancelledError:
            if not handed.cancelled():
                self.leave()  # it was handed over and we were cancelled in the same moment
            raise
        finally:
            self._queued -= not patient

    def leave(self) -> None:
        """Hand a place to who waits longest, or free it."""
        while self._line:
            next_one = self._line.popleft()
            if not next_one.done():
                next_one.set_result(None)
                return
        self.in_flight -= 1
