"""The gate: one Redis decides for the whole cluster which model call may leave now.

Rates, slots and blocks live in Lua (`lua/`); this face adds waiting. Callers of one process stand
in line (by rank, then fairly across flows) and one question at a time asks Redis for all of them.
If Redis is away, nothing is granted.
"""

import asyncio
import contextlib
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

from redis.exceptions import RedisError

from tasks.errors import ConfigurationError, ServiceAwayError
from tasks.gate.line import Answer, Line, Return
from tasks.pipelining import Pipelining, Script
from tasks.schemas.limits import Ending, GateState, Granted, Limits, Wait

LINES_KEPT = 256
PROVIDERS = "castline:gates"


@lru_cache
def source(name: str) -> str:
    """Read one gate script."""
    return files("tasks.gate").joinpath("lua").joinpath(f"{name}.lua").read_text()


class Gate:
    """The gate of one process; `lease_s` is how long a slot outlives a killed holder."""

    def __init__(self, redis: Any, limits: Mapping[str, Limits], *, lease_s: float = 30.0) -> None:
        self._redis = redis
        self._limits = dict(limits)
        self._lease_s = lease_s
        self._lines: dict[tuple[str, str, int], Line] = {}
        self._held: dict[str, Granted] = {}
        self._keeper: asyncio.Task[None] | None = None
        pipelining = Pipelining(redis)
        names = ("exchange", "renew", "block")
        self._scripts = {name: Script(pipelining, source(name)) for name in names}

    def limits(self, provider: str) -> Limits:
        """Limits of a provider. Raises ConfigurationError for one that the gate does not know."""
        try:
            return self._limits[provider]
        except KeyError:
            known = ", ".join(sorted(self._limits)) or "none"
            raise ConfigurationError(
                f"the gate knows no provider {provider!r} (known: {known})"
            ) from None

    async def acquire(
        self,
        provider: str,
        *,
        tokens: int = 0,
        run_id: str = "",
        run_slots: int = 0,
        rank: int = 0,
        flow: str = "",
    ) -> Granted:
        """Wait for a grant; `tokens` is the estimate that is reserved, `run_slots` the run's cap.

        Lower ranks go first within this process, flows of one rank take turns. Runs with a cap of
        their own queue apart, so that a full one holds nobody up. Cancelling the wait leaves
        nothing behind. Raises ServiceAwayError when Redis is away, ProviderOpenError while the
        breaker is open.
        """
        self.limits(provider)
        wish = self._wish(provider, run_id, run_slots, tokens)
        return self._hold(await self._line_of(wish).admitted(wish, rank=rank, flow=flow or run_id))

    async def try_acquire(
        self, provider: str, *, tokens: int = 0, run_id: str = "", run_slots: int = 0
    ) -> Granted | Wait:
        """Ask once, past the line. Raises ServiceAwayError when Redis is away."""
        wish = self._wish(provider, run_id, run_slots, tokens)
        answer = await self._exchange(provider, run_id, run_slots, [], [wish])
        if not answer.granted:
            return Wait(seconds=answer.wait_s, reason=answer.reason)
        return self._hold(wish)

    def settle(
        self, granted: Granted, *, used_tokens: int | None = None, ending: Ending = "other"
    ) -> "asyncio.Future[None]":
        """Return the slot with the next question to Redis; whoever wants to waits for the future.

        `used_tokens` corrects the reservation (None leaves it); `ending` moves the breaker. The
        future raises ServiceAwayError when Redis is away: then the slot expires.
        """
        self._held.pop(granted.lease, None)
        used = granted.tokens if used_tokens is None else used_tokens
        return self._line_of(granted).give_back(granted, used, ending)

    def waiting(self, provider: str) -> int:
        """Count the callers of this process that wait for a grant."""
        return sum(line.waiting for (name, *_), line in self._lines.items() if name == provider)

    def _line_of(self, wish: Granted) -> Line:
        """Find the line of those that share a call's limits: its provider's, or its run's own."""
        provider, run_slots = wish.provider, wish.run_slots
        run_id = wish.run_id if run_slots else ""
        key = (provider, run_id, run_slots)
        if key not in self._lines:
            if len(self._lines) > LINES_KEPT:
                for idle in [k for k, line in self._lines.items() if line.idle]:
                    del self._lines[idle]

            async def exchange(returns: Sequence[Return], wishes: Sequence[Granted]) -> Answer:
                return await self._exchange(provider, run_id, run_slots, returns, wishes)

            self._lines[key] = Line(exchange, lambda: self._freed(key))
        return self._lines[key]

    def _freed(self, by: tuple[str, str, int]) -> None:
        for key, line in self._lines.items():
            if key != by and key[0] == by[0]:
                line.freed()

    def _wish(self, provider: str, run_id: str, run_slots: int, tokens: int) -> Granted:
        return Granted(
            provider=provider,
            lease=uuid.uuid4().hex,
            run_id=run_id,
            run_slots=run_slots,
            tokens=min(tokens, 10**9),
        )

    def _hold(self, granted: Granted) -> Granted:
        self._held[granted.lease] = granted
        self._keep()
        return granted

    async def _exchange(
        self,
        provider: str,
        run_id: str,
        run_slots: int,
        returns: Sequence[Return],
        wishes: Sequence[Granted],
    ) -> Answer:
        limits = self.limits(provider)
        arguments: list[str | float] = [
            int(self._lease_s * 1000),
            limits.slots,
            run_slots,
            limits.rpm,
            limits.tpm,
            limits.burst_s,
            limits.breaker_failures,
            int(limits.breaker_open_s * 1000),
            len(returns),
        ]
        for returned in returns:
            arguments += [
                returned.granted.lease,
                returned.granted.tokens,
                returned.used,
                returned.ending,
            ]
        for wish in wishes:
            arguments += [wish.lease, wish.tokens]
        granted, wait_ms, reason = await self._call("exchange", provider, run_id, *arguments)
        return Answer(int(granted), int(wait_ms) / 1000, str(reason))

    async def block(self, provider: str, seconds: float) -> None:
        """Stop all grants of a provider in the cluster for a while (a 429's `Retry-After`)."""
        await self._call("block", provider, "", int(seconds * 1000))

    async def in_use(self, provider: str) -> int:
        """Count the slots that are held now, in the whole cluster."""
        seconds, micros = await self._redis.time()
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        return int(await self._redis.zcount(slots_key(provider), now_ms, "+inf"))

    async def announce(self) -> None:
        """Tell the cluster which providers there are with which limits, for whoever looks."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for provider, limits in self._limits.items():
                pipe.sadd(PROVIDERS, provider)
                pipe.set(limits_key(provider), limits.model_dump_json())
            await pipe.execute()

    async def known(self) -> list[str]:
        """List the providers that have been announced."""
        return sorted(await self._redis.smembers(PROVIDERS))

    async def change(self, provider: str, **limits: int | None) -> None:
        """Change `slots`, `rpm` or `tpm` for the whole cluster at once; None leaves one as it is.

        Without any, the configured limits hold again.
        """
        wanted = {name: value for name, value in limits.items() if value is not None}
        if wanted:
            await self._redis.hset(changes_key(provider), mapping=wanted)
        else:
            await self._redis.delete(changes_key(provider))

    async def state(self, provider: str) -> GateState:
        """Read a provider's gate. Raises ConfigurationError for one that nobody announced."""
        text = await self._redis.get(limits_key(provider))
        limits = Limits.model_validate_json(text) if text else self.limits(provider)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.time()
            pipe.hgetall(rates_key(provider))
            pipe.hgetall(changes_key(provider))
            pipe.zrange(slots_key(provider), 0, -1, withscores=True)
            time, rates, changes, held = await pipe.execute()
        now = int(time[0]) * 1000 + int(time[1]) // 1000
        live = {str(lease) for lease, until in held if until > now}
        open_until = int(rates.get("open_until") or 0)
        slots = int(changes.get("slots", limits.slots))
        return GateState(
            provider=provider,
            rpm=int(changes.get("rpm", limits.rpm)),
            tpm=int(changes.get("tpm", limits.tpm)),
            slots=slots,
            slots_now=min(slots, int(rates.get("slots_now") or slots)),
            slots_in_use=len(live),
            breaker="closed" if not open_until else "open" if open_until > now else "half-open",
            failures=int(rates.get("failures") or 0),
            open_s=max(0, open_until - now) / 1000,
            blocked_s=max(0, int(rates.get("blocked_until") or 0) - now) / 1000,
            changed=bool(changes),
        )

    async def close(self) -> None:
        """Stop asking and renewing; what is still held expires."""
        for line in self._lines.values():
            await line.close()
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper

    async def _call(self, name: str, provider: str, run_id: str, *arguments: str | float) -> Any:
        keys = [
            slots_key(provider),
            f"castline:gate:{provider}:run:{run_id}",
            rates_key(provider),
            changes_key(provider),
        ]
        try:
            return await self._scripts[name](keys, arguments)
        except (RedisError, OSError) as error:
            raise ServiceAwayError(f"the gate's Redis is away: {type(error).__name__}") from error

    def _keep(self) -> None:
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.create_task(self._renew_for_ever())

    async def _renew_for_ever(self) -> None:
        while self._held:
            await asyncio.sleep(self._lease_s / 3)
            groups: dict[tuple[str, str], list[str]] = defaultdict(list)
            for granted in self._held.values():
                groups[granted.provider, granted.run_id].append(granted.lease)
            for (provider, run_id), leases in groups.items():
                with contextlib.suppress(ServiceAwayError):  # tried again in a third of a lease
                    await self._call("renew", provider, run_id, int(self._lease_s * 1000), *leases)


def rates_key(provider: str) -> str:
    """Key of a provider's rates, breaker and concurrency."""
    return f"castline:gate:{provider}:rates"


def limits_key(provider: str) -> str:
    """Key of the limits that a provider's workers were configured with."""
    return f"castline:gate:{provider}:configured"


def changes_key(provider: str) -> str:
    """Key of the limits that were changed while running."""
    return f"castline:gate:{provider}:limits"


def slots_key(provider: str) -> str:
    """Key of a provider's slot leases."""
    return f"castline:gate:{provider}:slots"
