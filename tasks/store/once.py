"""Requests that are made once, however often they are sent: one record for each Idempotency-Key."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal

from tasks.connection import TextRedis
from tasks.pipelining import Pipelining, Script
from tasks.store import keys

LEASE_MS = 30_000  # longer than a dead submitter's lease on its run, which whoever follows meets
REMEMBERED_S = 24 * 3600


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What to do with a request.

    `go`: make run `run_id`; `done`: it is made; `busy`: somebody makes it, for `wait_s` at most;
    `other`: the same key came with another request before.
    """

    verdict: Literal["go", "done", "busy", "other"]
    run_id: str
    wait_s: float


@lru_cache
def source() -> str:
    """Read the script."""
    return files("tasks.store").joinpath("lua").joinpath("once.lua").read_text()


class Once:
    """The records on one Redis, remembered for a day."""

    def __init__(self, redis: TextRedis) -> None:
        self._script = Script(Pipelining(redis), source())

    async def take(self, owner: str, key: str, *, asked: str, run_id: str) -> Turn:
        """Ask whether this request is to be carried out, as `run_id` if it is the first."""
        verdict, run, wait_ms = await self._call("take", owner, key, asked, run_id)
        return Turn(verdict=verdict, run_id=run, wait_s=int(wait_ms) / 1000)

    async def done(self, owner: str, key: str) -> None:
        """Note that the request has been carried out."""
        await self._call("done", owner, key, "", "")

    async def drop(self, owner: str, key: str) -> None:
        """Forget a request of which nothing was carried out."""
        await self._call("drop", owner, key, "", "")

    async def _call(self, what: str, owner: str, key: str, asked: str, run_id: str) -> Any:
        digest = hashlib.sha256(key.encode()).hexdigest()
        arguments: list[str | int] = [what, asked, run_id, LEASE_MS, REMEMBERED_S]
        return await self._script([keys.once(owner, digest)], arguments)
