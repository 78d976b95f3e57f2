"""Which alerts fire, and since when: judged by whoever looks, remembered by upkeep's leader."""

from dataclasses import dataclass

from redis.exceptions import OutOfMemoryError

from tasks.deps import Deps
from tasks.observing.alerts import TRAILING_MINUTES, alerts_of
from tasks.schemas.alerts import Alert, AlertLimits
from tasks.schemas.moment import Moment
from tasks.settings import Settings
from tasks.store import keys, telemetry


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What began to fire and what ended since upkeep looked last."""

    begun: tuple[Alert, ...] = ()
    ended: tuple[Alert, ...] = ()


def limits_of(settings: Settings) -> AlertLimits:
    """Read where alerts begin."""
    return AlertLimits(
        error_rate=settings.alert_error_rate,
        slower=settings.alert_slower,
        stuck_minutes=settings.alert_stuck_minutes,
        cpu=settings.alert_cpu,
        memory=settings.alert_memory,
    )


async def firing(deps: Deps, moment: Moment) -> list[Alert]:
    """List what is wrong now, each since upkeep first saw it."""
    known = await remembered(deps)
    return [
        alert.model_copy(update={"since_ms": known[alert.id].since_ms})
        if alert.id in known
        else alert
        for alert in await judged(deps, moment)
    ]


async def judged(deps: Deps, moment: Moment) -> list[Alert]:
    """Judge a moment by the hour before it."""
    last = moment.at_ms // 60_000
    by_minute = await telemetry.counted(deps.redis, first=last - TRAILING_MINUTES + 1, last=last)
    return alerts_of(moment, by_minute, limits_of(deps.settings))


async def remembered(deps: Deps) -> dict[str, Alert]:
    """Read what fired when upkeep looked last."""
    texts = await deps.redis.hgetall(keys.ALERTS)
    return {name: Alert.model_validate_json(text) for name, text in texts.items()}


class Alarms:
    """Upkeep's memory of alerts, in Redis: whoever leads next goes on from it."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._unwritten: dict[str, Alert] = {}  # what a full Redis did not take

    async def review(self, moment: Moment) -> Changes:
        """Judge a moment, remember it, and say what is new."""
        known = {**self._unwritten, **await remembered(self._deps)}
        found = {alert.id: alert for alert in await judged(self._deps, moment)}
        begun = {
            name: alert.model_copy(update={"since_ms": moment.at_ms})
            for name, alert in found.items()
            if name not in known
        }
        ended = {name: alert for name, alert in known.items() if name not in found}
        await self._forget(ended)
        await self._remember(begun)
        return Changes(begun=tuple(begun.values()), ended=tuple(ended.values()))

    async def _forget(self, ended: dict[str, Alert]) -> None:
        for name in ended:
            self._unwritten.pop(name, None)
            await self._deps.redis.hdel(keys.ALERTS, name)

    async def _remember(self, begun: dict[str, Alert]) -> None:
        missing = {**self._unwritten, **begun}
        if not missing:
            return
        try:
            texts = {name: alert.model_dump_json() for name, alert in missing.items()}
            await self._deps.redis.hset(keys.ALERTS, mapping=texts)
            self._unwritten.clear()
        except OutOfMemoryError:
            self._unwritten = missing
