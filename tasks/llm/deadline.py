"""The end of one logical call's time: over its attempts, its waits, the gate and the fallbacks."""

import asyncio
from types import TracebackType

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

    def enforced(self) -> "Enforced":
        """Cancel the `async with` block when the time is over.

        Raises DeadlineError then; what the block holds, it returns on its way out.
        """
        return Enforced(self, asyncio.timeout_at(self._until))

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


class Enforced:
    """One block under a deadline; no generator, which would cost every call as much again."""

    __slots__ = ("_deadline", "_limit")

    def __init__(self, deadline: Deadline, limit: asyncio.Timeout) -> None:
        self._deadline = deadline
        self._limit = limit

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._limit.__aexit__(kind, error, trace)
        except TimeoutError:  # the block's own are not raised here
            raise self._deadline.error() from None
