"""The one composition root: builds what tasks, upkeep and the producer work with."""

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.connection import TextRedis, connect
from tasks.gate.gate import Gate
from tasks.gate.on_redis import RedisRules
from tasks.llm import tracing
from tasks.llm.choosing import resolve_provider
from tasks.llm.providers import Provider, gate_limits
from tasks.routing import node_label
from tasks.schemas.plan import Request
from tasks.settings import Settings
from tasks.store.backlog import BacklogBook
from tasks.store.batch_calls import BatchCalls
from tasks.store.blobs import Blobs
from tasks.store.leases import LeaseKeeper
from tasks.store.ledger import Ledger
from tasks.store.reader import RunReader
from tasks.store.sessions import Sessions
from tasks.turns import Turns

if TYPE_CHECKING:  # processes that call no model start without an HTTP client
    from tasks.llm.cache.caching import CachingCompleter

REQUESTS_KEPT = 64


@dataclass
class Deps:
    """What a process works with, on one loop. `provider` is None where no model is called."""

    settings: Settings
    redis: TextRedis
    ledger: Ledger
    reader: RunReader
    backlog: BacklogBook
    blobs: Blobs
    leases: LeaseKeeper
    batch_calls: BatchCalls
    sessions: Sessions
    turns: Turns = field(default_factory=Turns)
    provider: Provider | None = None
    gate: Gate | None = None
    completer: "CachingCompleter | None" = None
    _requests: dict[str, Request] = field(default_factory=dict)

    async def request(self, run_id: str) -> Request:
        """Read a run's request, remembered: it never changes."""
        if run_id not in self._requests:
            if len(self._requests) >= REQUESTS_KEPT:
                self._requests.pop(next(iter(self._requests)))
            self._requests[run_id] = await self.reader.request(run_id)
        return self._requests[run_id]

    async def close(self) -> None:
        """Close every connection."""
        await self.leases.close()
        if self.completer is not None:
            await self.completer.close()
        if self.gate is not None:
            await self.gate.close()
        await self.redis.aclose()
        if tracing.enabled():
            await asyncio.to_thread(tracing.flush)


async def open_deps(settings: Settings, *, models: bool = False) -> Deps:
    """Wire a process up, on the loop that will use it; `models` adds the gate and the client.

    Raises ServiceAwayError without a Redis, ConfigurationError without a provider.
    """
    redis = connect(settings.broker_url())
    ledger = Ledger(
        redis,
        owner=f"{node_label(settings.node)}/{os.getpid()}",
        retention_s=settings.retention_s,
        lease_s=settings.lease_s,
        crashes=settings.step_crashes,
        picture_crashes=settings.step_attempts,
        resend_s=settings.resend_s,
    )
    deps = Deps(
        settings=settings,
        redis=redis,
        ledger=ledger,
        reader=RunReader(redis),
        backlog=BacklogBook(redis),
        blobs=Blobs(settings.blobs_url),
        leases=LeaseKeeper(ledger),
        batch_calls=BatchCalls(redis, retention_s=settings.retention_s, grace_s=settings.resend_s),
        sessions=Sessions(redis, slots=settings.session_slots, each=settings.session_each),
    )
    if models:
        await add_models(deps)
    return deps


async def add_models(deps: Deps) -> None:
    """Add the provider, its gate and the client. Raises ConfigurationError without a provider."""
    from tasks.llm.cache.caching import CachingCompleter
    from tasks.llm.cache.shared import RedisShelf
    from tasks.llm.completer import Completer

    settings = deps.settings
    deps.provider = provider = resolve_provider(settings)
    deps.gate = Gate(
        RedisRules(deps.redis),
        gate_limits(provider),
        lease_s=settings.lease_s,
        holder=deps.ledger.holder,
    )
    await deps.gate.announce()
    deps.completer = CachingCompleter(
        Completer(
            provider,
            deps.gate,
            retry_scale=settings.retry_scale,
            call_deadline_s=settings.call_deadline_s,
        ),
        None if settings.cache == "off" else RedisShelf(deps.redis),
        ttl_s=settings.cache_ttl_s,
        lease_s=settings.lease_s,
    )
