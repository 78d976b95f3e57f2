"""What upkeep's leader does once a minute: note how everything stands, tell alerts, drop old lines.

Trouble with Redis costs the minute, never a sweep.
"""

import asyncio
import logging

from redis.exceptions import OutOfMemoryError, RedisError

from tasks.deps import Deps
from tasks.observing import looking, samples
from tasks.observing.alarms import Alarms, Changes
from tasks.store import telemetry
from workers.webhook import tell

log = logging.getLogger(__name__)


class Minutely:
    """Remembers which minute (since 1970, on Redis time) was looked at last."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._alarms = Alarms(deps)
        self._done = 0
        self._telling: set[asyncio.Task[None]] = set()

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
        try:
            await samples.note(self._deps, moment)
        except OutOfMemoryError:
            log.warning("no sample of this minute: Redis is full")
        self._tell(await self._alarms.review(moment))
        horizon_ms = now_ms - self._deps.settings.retention_s * 1000
        await telemetry.forget_older(self._deps.redis, horizon_ms)

    def _tell(self, changes: Changes) -> None:
        """Say what began and what ended, here and where the settings say; wait for nobody."""
        for alert in changes.begun:
            log.warning("alert: %s", alert.text, extra={"alert": alert.id})
        for alert in changes.ended:
            log.info("alert over: %s", alert.text, extra={"alert": alert.id})
        url = self._deps.settings.alert_url.get_secret_value()
        if url and (changes.begun or changes.ended):
            task = asyncio.create_task(tell(url, changes))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)
