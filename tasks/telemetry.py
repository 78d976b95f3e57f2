"""Ships a process's log lines and counts to Redis, now and then, and never in a call's way."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextvars import Context

from redis.exceptions import RedisError

from tasks import logs, measures
from tasks.deps import Deps
from tasks.store import telemetry

log = logging.getLogger(__name__)

EVERY_S = 0.5
LAST_S = 2.0


class Shipping:
    """Ships for one process, on one loop; what a Redis that is away cannot take is dropped.

    Counts are kept for later, lines are not; how many were lost is counted, and logged when Redis
    is back.
    """

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._kept: Counter[str] = Counter()
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Ship from now on."""
        self._task = asyncio.create_task(self._until_stopped(), context=Context())

    async def end(self) -> None:
        """Ship what is left, and stop; a Redis that does not answer is not waited for."""
        self._stop.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=LAST_S)
            self._task.cancel()

    async def once(self) -> None:
        """Ship what there is."""
        if dropped := logs.buffer.forget_dropped():
            measures.count("log.dropped", dropped)
            log.warning("%d log lines are lost: too many at once, or Redis was away", dropped)
        self._kept.update(measures.take())
        lines = logs.buffer.take()
        if not lines and not self._kept:
            return
        try:
            minute = await self._deps.ledger.now_ms() // 60_000
            retention_s = self._deps.settings.retention_s
            await telemetry.ship(
                self._deps.redis, lines, self._kept, minute=minute, retention_s=retention_s
            )
            self._kept.clear()
        except (RedisError, OSError):
            logs.buffer.drop(len(lines))

    async def _until_stopped(self) -> None:
        last = False
        while not last:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), EVERY_S)
            last = self._stop.is_set()
            await self.once()


@contextlib.asynccontextmanager
async def shipping(deps: Deps) -> AsyncIterator[None]:
    """Ship while the block lasts."""
    ships = Shipping(deps)
    await ships.begin()
    try:
        yield
    finally:
        await ships.end()
