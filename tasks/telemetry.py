"""Ships a process's log lines and counts to Redis, now and then, and never in a call's way."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator

from redis.exceptions import RedisError

from tasks import logs, measures
from tasks.deps import Deps
from tasks.store import telemetry

log = logging.getLogger(__name__)

EVERY_S = 0.5


async def ship_for_ever(deps: Deps) -> None:
    """Ship until cancelled, then once more; what a Redis that is away cannot take is dropped.

    Counts are kept for later, lines are not; how many were lost is logged when Redis is back.
    """
    kept: Counter[str] = Counter()
    try:
        while True:
            await asyncio.sleep(EVERY_S)
            await ship_once(deps, kept)
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(ship_once(deps, kept)), 2.0)


async def ship_once(deps: Deps, kept: Counter[str]) -> None:
    """Ship what there is."""
    if logs.buffer.dropped:
        log.warning("%d log lines were dropped: they came too fast, or Redis was away",
                    logs.buffer.dropped)  # fmt: skip
        logs.buffer.dropped = 0
    kept.update(measures.take())
    lines = logs.buffer.take()
    if not lines and not kept:
        return
    try:
        minute = await deps.ledger.now_ms() // 60_000
        await telemetry.ship(
            deps.redis, lines, kept, minute=minute, retention_s=deps.settings.retention_s
        )
        kept.clear()
    except (RedisError, OSError):
        logs.buffer.dropped += len(lines)


@contextlib.asynccontextmanager
async def shipping(deps: Deps) -> AsyncIterator[None]:
    """Ship while the block lasts."""
    task = asyncio.create_task(ship_for_ever(deps))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
