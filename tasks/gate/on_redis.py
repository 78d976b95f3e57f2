"""The limits of a whole cluster, kept in one Redis; the rules themselves are `lua/`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

from redis.exceptions import RedisError

from tasks.errors import RedisAwayError
from tasks.gate import keys
from tasks.gate.rates import TICK_US, TICKS
from tasks.gate.rules import Answer, Question
from tasks.pipelining import Pipelining, Script
from tasks.schemas.limits import GateState, Limits

BELL_AGAIN_S = 1.0
BELL_WAIT_S = 20.0


@lru_cache
def source(name: str) -> str:
    """Read one gate script."""
    return files("tasks.gate").joinpath("lua").joinpath(f"{name}.lua").read_text()


def server_time() -> int:
    """Leave the time to the server: 0."""
    return 0


class RedisRules:
    """Rules in a Redis; `now_us` gives a clock of one's own (tests), else it is the server's."""

    def __init__(self, redis: Any, *, now_us: Callable[[], int] = server_time) -> None:
        self._redis = redis
        self._now_us = now_us
        pipelining = Pipelining(redis)
        names = ("exchange", "renew", "block")
        self._scripts = {name: Script(pipelining, source(name)) for name in names}

    async def exchange(self, question: Question) -> Answer:
        """Take slots back, then grant wishes. Raises RedisAwayError."""
        provider = question.provider
        where = [
            keys.slots(provider),
            keys.run_slots(provider, question.run_id),
            keys.rates(provider),
            keys.changes(provider),
            keys.window(provider),
            keys.lines(provider),
        ]
        granted, wait_ms, reason, tick, virtual, shift = await self._call(
            "exchange", where, arguments(question)
        )
        return Answer(
            granted=int(granted),
            wait_s=int(wait_ms) / 1000,
            reason=str(reason),
            tick=int(tick),
            virtual=int(virtual),
            shift=int(shift),
        )

    def at_once(self, question: Question) -> Answer | None:
        """Redis must be asked."""
        return None

    async def renew(
        self, provider: str, run_id: str, lease_s: float, leases: Sequence[str]
    ) -> None:
        """Keep slots for another lease. Raises RedisAwayError."""
        where = [keys.slots(provider), keys.run_slots(provider, run_id)]
        await self._call("renew", where, [int(lease_s * 1000), *leases])

    async def block(self, provider: str, seconds: float) -> None:
        """Grant nothing for a while. Raises RedisAwayError."""
        await self._call("block", [keys.rates(provider)], [int(seconds * 1000)])

    async def announce(self, limits: Mapping[str, Limits]) -> None:
        """Note which providers there are."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for provider, limit in limits.items():
                pipe.sadd(keys.PROVIDERS, provider)
                pipe.set(keys.configured(provider), limit.model_dump_json())
            await pipe.execute()

    async def known(self) -> list[str]:
        """List the announced providers."""
        return sorted(await self._redis.smembers(keys.PROVIDERS))

    async def change(self, provider: str, limits: Mapping[str, int]) -> None:
        """Change limits for everybody; none: the configured ones hold, and a block ends."""
        if limits:
            await self._redis.hset(keys.changes(provider), mapping=dict(limits))
        else:
            await self._redis.delete(keys.changes(provider))
            await self._redis.hdel(keys.rates(provider), "blocked_until")

    async def state(self, provider: str, limits: Limits | None) -> GateState | None:
        """Read a provider's state; None when nobody announced it and `limits` is None."""
        text = await self._redis.get(keys.configured(provider))
        if text:
            limits = Limits.model_validate_json(text)
        if limits is None:
            return None
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.time()
            pipe.hgetall(keys.rates(provider))
            pipe.hgetall(keys.changes(provider))
            pipe.zrange(keys.slots(provider), 0, -1, withscores=True)
            pipe.hgetall(keys.window(provider))
            time, rates, changes, held, window = await pipe.execute()
        now_us = self._now_us() or int(time[0]) * 1000000 + int(time[1])
        now = now_us // 1000
        open_until = int(rates.get("open_until") or 0)
        rpm, tpm, slots = (
            int(changes.get(name, getattr(limits, name))) for name in ("rpm", "tpm", "slots")
        )
        return GateState(
            provider=provider,
            rpm=rpm,
            tpm=tpm,
            requests_in_minute=in_minute(window, "r", now_us) if rpm else None,
            tokens_in_minute=in_minute(window, "t", now_us) if tpm else None,
            slots=slots,
            slots_now=min(slots, int(rates.get("slots_now") or 0) or slots),
            slots_in_use=sum(until > now for _, until in held),
            breaker="closed" if not open_until else "open" if open_until > now else "half-open",
            failures=int(rates.get("failures") or 0),
            open_s=max(0, open_until - now) / 1000,
            blocked_s=max(0, int(rates.get("blocked_until") or 0) - now) / 1000,
            changed=bool(changes),
        )

    async def bells(self) -> AsyncIterator[str]:
        """Name a provider each time that a slot of it was left for another process."""
        while True:
            try:
                async with self._redis.pubsub() as channel:
                    await channel.psubscribe(keys.bell("*"))
                    while True:
                        rung = await channel.get_message(
                            ignore_subscribe_messages=True, timeout=BELL_WAIT_S
                        )
                        if rung is not None:
                            yield keys.provider_of_bell(rung["channel"])
            except (RedisError, OSError):  # whoever waits asks again by itself meanwhile
                await asyncio.sleep(BELL_AGAIN_S)

    async def _call(self, name: str, where: Sequence[str], given: Sequence[str | float]) -> Any:
        try:
            return await self._scripts[name](where, [self._now_us(), *given])
        except (RedisError, OSError) as error:
            raise RedisAwayError(f"the gate's Redis is away: {type(error).__name__}") from error


def in_minute(window: Mapping[str, str], kind: str, now_us: int) -> int:
    """Sum up what exchange.lua has counted in the last minute; what is older may still be there."""
    oldest = now_us // TICK_US - TICKS + 1
    return sum(
        int(amount)
        for tick, amount in window.items()
        if tick[0] == kind and tick[1:].isdecimal() and int(tick[1:]) >= oldest
    )


def arguments(question: Question) -> list[str | float]:
    """Write a question as exchange.lua reads it, from its second argument on."""
    limits = question.limits
    given: list[str | float] = [
        int(question.lease_s * 1000),
        limits.slots,
        question.run_slots,
        limits.rpm,
        limits.tpm,
        limits.burst_s,
        limits.breaker_failures,
        int(limits.breaker_open_s * 1000),
        question.line,
        int(question.fresh),
        question.waiting,
        keys.bell(question.provider),
        len(question.returns),
    ]
    for one in question.returns:
        call = one.call
        given += [call.lease, call.tokens, one.used, one.ending, int(one.sent), call.tick]
    for wish in question.wishes:
        given += [wish.call.lease, wish.call.tokens, wish.rank, wish.start]
    return given
