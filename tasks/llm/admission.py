"""How many calls of one client are under way at once, and how many more may wait for that."""

import asyncio

from tasks.errors import QueueFullError


class Admission:
    """Places for calls, first come first served, on one loop."""

    def __init__(self, *, places: int, queue_size: int) -> None:
        self.in_flight = 0
        self.waiting = 0
        self._queued = 0
        self._queue_size = queue_size
        self._places = asyncio.Semaphore(places)

    async def enter(self, *, patient: bool = False) -> None:
        """Wait for a place, which must be left again.

        Raises QueueFullError when as many wait as may; somebody `patient`, who holds the others
        back at the source, is never refused.
        """
        if self._queued >= self._queue_size and self._places.locked() and not patient:
            raise QueueFullError(
                f"{self._queued} calls wait in this client already",
                hint="raise LLM_ASYNC_QUEUE_SIZE or LLM_ASYNC_WORKERS, or use batch()",
            )
        self.waiting += 1
        self._queued += not patient
        try:
            await self._places.acquire()
        finally:
            self.waiting -= 1
            self._queued -= not patient
        self.in_flight += 1

    @property
    def free(self) -> bool:
        """Whether a place is free for the next one."""
        return not self._places.locked()

    def leave(self) -> None:
        """Free a place."""
        self.in_flight -= 1
        self._places.release()
