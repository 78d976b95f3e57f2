"""What upkeep's leader does once a minute: note how everything stands, drop log lines that are old.

Trouble with Redis costs the minute, never a sweep.
"""

import logging

from redis.exceptions import RedisError

from tasks.deps import Deps
from tasks.observing import looking, samples
from tasks.store import telemetry

log = logging.getLogger(__name__)


class Minutely:
    """Remembers which minute (since 1970, on Redis time) was looked at last."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._done = 0

    async def tend(self) -> None:
        """Look, if a minute has begun since the last time."""
        try:
            now_ms = await self._deps.ledger.now_ms()
            if now_ms // 60_000 == self._done:
                return
            self._done = now_ms // 60_000
            await self._look(now_ms)
        except (RedisError, OSError) as error:
            log.warning("this minute was not looked at: %s", type(error).__name__)

    async def _look(self, now_ms: int) -> None:
        moment = await looking.look(self._deps)
        await samples.note(self._deps, moment)
        horizon_ms = now_ms - self._deps.settings.retention_s * 1000
        await telemetry.forget_older(self._deps.redis, horizon_ms)
