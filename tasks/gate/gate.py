"""The gate: one Redis decides for the whole cluster which model call may leave now.

Rates, slots and blocks live in Lua (`lua/`); this face adds waiting. Callers of one process queue
at a turnstile (by rank, then fairly across flows) and only its head asks Redis, so waiting costs
one question at a time. If Redis is away, nothing is granted.
"""

import asyncio
import contextlib
import uuid
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from redis.exceptions import RedisError

from tasks.errors import ConfigurationError, ServiceAwayError
from tasks.gate.turnstile import Turnstile
from tasks.pipelining import Pipelining, Script
from tasks.schemas.limits import Granted, Limits, Wait

LONGEST_SLEEP_S = 5.0


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
        self._turnstiles: dict[tuple[str, str], Turnstile] = defaultdict(Turnstile)
        self._freed: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._held: dict[str, Granted] = {}
        self._keeper: asyncio.Task[None] | None = None
        pipelining = Pipelining(redis)
        names = ("acquire", "settle", "renew", "block")
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
        nothing behind. Raises ServiceAwayError when Redis is away.
        """
        turnstile = self._turnstiles[provider, run_id if run_slots else ""]
        async with turnstile.turn(rank=rank, flow=flow or run_id):
            while True:
                freed = self._freed[provider]
                freed.clear()
                answer = await self.try_acquire(
                    provider, tokens=tokens, run_id=run_id, run_slots=run_slots
                )
                if isinstance(answer, Granted):
                    return answer
                pause = min(answer.seconds, LONGEST_SLEEP_S)
                with contextlib.suppress(TimeoutError):
                    if answer.reason.endswith("slots"):
                        await asyncio.wait_for(freed.wait(), pause)
                    else:
                        await asyncio.sleep(pause)

    async def try_acquire(
        self, provider: str, *, tokens: int = 0, run_id: str = "", run_slots: int = 0
    ) -> Granted | Wait:
        """Ask once. Raises ServiceAwayError when Redis is away."""
        limits = self.limits(provider)
        granted = Granted(
            provider=provider, lease=uuid.uuid4().hex, run_id=run_id, tokens=min(tokens, 10**9)
        )
        answer = await self._call(
            "acquire",
            granted,
            granted.lease,
            int(self._lease_s * 1000),
            limits.slots,
            run_slots,
            limits.rpm,
            limits.tpm,
            limits.burst_s,
            granted.tokens,
        )
        if not answer[0]:
            return Wait(seconds=int(answer[1]) / 1000, reason=str(answer[2]))
        self._held[granted.lease] = granted
        self._keep()
        return granted

    async def settle(self, granted: Granted, *, used_tokens: int | None = None) -> None:
        """Return the slot; `used_tokens` corrects the reservation (None leaves it)."""
        self._held.pop(granted.lease, None)
        limits = self.limits(granted.provider)
        used = granted.tokens if used_tokens is None else used_tokens
        await self._call(
            "settle", granted, granted.lease, limits.tpm, limits.burst_s, granted.tokens, used
        )
        self._freed[granted.provider].set()

    async def block(self, provider: str, seconds: float) -> None:
        """Stop all grants of a provider in the cluster for a while (a 429's `Retry-After`)."""
        stop = Granted(provider=provider, lease="", run_id="", tokens=0)
        await self._call("block", stop, int(seconds * 1000))

    async def in_use(self, provider: str) -> int:
        """Count the slots that are held now, in the whole cluster."""
        seconds, micros = await self._redis.time()
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        return int(await self._redis.zcount(slots_key(provider), now_ms, "+inf"))

    async def close(self) -> None:
        """Stop renewing; what is still held expires."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper

    async def _call(self, name: str, granted: Granted, *arguments: str | float) -> Any:
        keys = [
            slots_key(granted.provider),
            f"castline:gate:{granted.provider}:run:{granted.run_id}",
            f"castline:gate:{granted.provider}:rates",
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
                some = Granted(provider=provider, lease="", run_id=run_id, tokens=0)
                with contextlib.suppress(ServiceAwayError):  # tried again in a third of a lease
                    await self._call("renew", some, int(self._lease_s * 1000), *leases)


def slots_key(provider: str) -> str:
    """Key of a provider's slot leases."""
    return f"castline:gate:{provider}:slots"
