"""A run's events from any of them to its end, for one who waits; it prints nothing."""

from collections.abc import AsyncIterator

from tasks.deps import Deps
from tasks.schemas.status import StepEvent

QUIET_S = 0.5


async def run_events(
    deps: Deps, run_id: str, *, after: str = "0-0"
) -> AsyncIterator[StepEvent | None]:
    """Yield the events after one of them until the run has ended; None after a quiet while.

    It holds a connection to Redis while it waits: for few who follow, not for hundreds.
    """
    if await deps.reader.ended(run_id, after):
        return
    async for event in deps.reader.events(run_id, after, block_s=QUIET_S):
        yield event
        after = event.id if event is not None else after
        turning = event is None or not event.step
        if turning and await deps.reader.ended(run_id, after):
            return
