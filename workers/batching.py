"""An LLM worker's part in batch mode: it submits and fetches while it leads for its provider."""

import asyncio
import logging

import anyio
from anyio import CancelScope
from redis.exceptions import RedisError

from tasks.batches import BatchDesk
from tasks.deps import Deps
from tasks.llm.batch_client import BatchClient
from tasks.llm.providers import Provider
from tasks.store import keys
from workers.leadership import Leadership

log = logging.getLogger(__name__)

PERIOD_S = 1.0
LEASE_MS = 10_000
RENEW_S = 2.0


async def submit_for_ever(deps: Deps, provider: Provider, name: str) -> None:
    """Serve the provider's batch runs while leading, until cancelled."""
    key = keys.batch_leader(provider.name)
    leadership = Leadership(deps.redis, key, name=name, lease_ms=LEASE_MS)
    client = BatchClient(provider)
    desk = BatchDesk(deps, provider, client, leads=leadership.take)
    try:
        while True:
            try:
                if await leadership.take():
                    await round_while_leading(leadership, desk)
            except (RedisError, OSError) as error:
                log.warning("no batches: %s", type(error).__name__)
            except Exception:  # a defect of ours must not end batch mode on this worker
                log.exception("a round of batches failed")
            await asyncio.sleep(PERIOD_S)
    finally:
        with CancelScope(shield=True, deadline=anyio.current_time() + 2):
            await leadership.resign()
            await client.close()


async def round_while_leading(leadership: Leadership, desk: BatchDesk) -> None:
    """Do a round; it is cut short when the lease is lost. Raises what the round raises."""
    with CancelScope() as scope:
        renewing = asyncio.create_task(renew(leadership, scope))
        try:
            await desk.round()
        finally:
            renewing.cancel()


async def renew(leadership: Leadership, scope: CancelScope) -> None:
    """Keep the lease during a long round; cancel the round when that fails."""
    while True:
        await asyncio.sleep(RENEW_S)
        try:
            if await leadership.take():
                continue
        except (RedisError, OSError) as error:
            log.warning("the lease of the batches is lost: %s", type(error).__name__)
        scope.cancel()
        return
