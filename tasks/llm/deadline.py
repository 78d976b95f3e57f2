"""The end of one logical call's time: over its attempts, its waits, the gate and the fallbacks."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tasks.errors import DeadlineError


class Deadline:
    """Begins to run when it is made, on the loop that makes it; counts what left before its end."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.attempts = 0
        self._until = asyncio.get_running_loop().time() + seconds

    @property
    def left_s(self) -> float:
        """How much time is left."""
        return self._until - asyncio.get_running_loop().time()

    @contextlib.asynccontextmanager
    async def enforced(self) -> AsyncIterator[None]:
        """Cancel the block when the time is over.

        Raises DeadlineError then; what the block holds, it returns on its way out.
        """
        try:
            async with asyncio.timeout_at(self._until) as limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise self.error() from None

    def error(self) -> DeadlineError:
        """Say that the time is over."""
        sent = {0: "it was never sent", 1: "it was sent once"}.get(
            self.attempts, f"it was sent {self.attempts} times"
        )
        return DeadlineError(
            f"the call got no answer within {self.seconds:g} s ({sent})",
            attempts=self.attempts,
            hint="allow more time, or fewer calls at once",
        )
