"""Keeps the leases of a process alive with one timer, however many steps it works on."""

import asyncio
import contextlib
import logging
from collections import defaultdict
from contextvars import Context

import anyio
from redis.exceptions import RedisError

from tasks.schemas.ledger import Claim
from tasks.store.ledger import Ledger

log = logging.getLogger(__name__)


class LeaseKeeper:
    """Renews every held claim each third of a lease; work whose lease is lost is cancelled."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._held: dict[tuple[str, str], tuple[Claim, anyio.CancelScope | None]] = {}
        self._timer: asyncio.Task[None] | None = None

    def hold(self, claim: Claim, scope: anyio.CancelScope | None = None) -> None:
        """Renew this claim from now on; cancel `scope` (the work) when its lease is lost."""
        self._held[claim.run_id, claim.step] = (claim, scope)
        if self._timer is None or self._timer.done():
            self._timer = asyncio.create_task(self._renew_while_held(), context=Context())

    def holds(self, run_id: str, step: str) -> bool:
        """Whether this process works on a step."""
        return (run_id, step) in self._held

    def release(self, claim: Claim) -> None:
        """Stop renewing this claim."""
        self._held.pop((claim.run_id, claim.step), None)

    async def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._timer

    async def _renew_while_held(self) -> None:
        while self._held:
            await asyncio.sleep(self._ledger.lease_s / 3)
            runs: dict[str, dict[str, int]] = defaultdict(dict)
            for claim, _ in self._held.values():
                runs[claim.run_id][claim.step] = claim.fence
            for run_id, fences in runs.items():
                await self._renew(run_id, fences)

    async def _renew(self, run_id: str, fences: dict[str, int]) -> None:
        try:
            lost = await self._ledger.renew(run_id, fences)
        except (RedisError, OSError) as error:  # the next turn tries again, within the lease
            told = {"run": run_id, "step": sorted(fences)}
            log.warning(
                "leases of %s were not renewed: %s", run_id, type(error).__name__, extra=told
            )
            return
        for step in lost:
            claim, scope = self._held.get((run_id, step), (None, None))
            if claim is None or claim.fence != fences[step]:
                continue
            told = {"run": run_id, "step": step}
            log.warning("lease of %s %s was lost; its work stops", run_id, step, extra=told)
            self.release(claim)
            if scope is not None:
                scope.cancel()
