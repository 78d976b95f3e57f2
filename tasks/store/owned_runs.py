"""Whose runs there are: each owner's list, and how many of them are open at a time."""

from functools import lru_cache
from importlib.resources import files

from tasks.connection import TextRedis
from tasks.pipelining import Pipelining, Script
from tasks.store import keys

UNWRITTEN_MS = 60_000


@lru_cache
def source() -> str:
    """Read the script."""
    return files("tasks.store").joinpath("lua").joinpath("own.lua").read_text()


class OwnedRuns:
    """The runs of every owner on one Redis."""

    def __init__(self, redis: TextRedis, *, retention_s: int) -> None:
        self._redis = redis
        self._retention_s = retention_s
        self._own = Script(Pipelining(redis), source())

    async def take(self, owner: str, run_id: str, *, most: int) -> tuple[bool, int]:
        """Note a run that is about to be written, unless `most` (0 = no limit) are open.

        Returns whether it was, and how many are open. A run of which nothing is written within a
        minute counts no more.
        """
        taken, count = await self._own(
            [keys.owned_runs(owner), keys.open_runs(owner)],
            [f"{keys.PREFIX}:run:", run_id, most, UNWRITTEN_MS, self._retention_s],
        )
        return bool(taken), int(count)

    async def forget(self, owner: str, *run_ids: str) -> None:
        """Take runs off the lists: they were refused, or have expired."""
        await self._redis.zrem(keys.owned_runs(owner), *run_ids)
        await self._redis.zrem(keys.open_runs(owner), *run_ids)

    async def newest(self, owner: str, *, limit: int, skip: int = 0) -> list[str]:
        """List an owner's runs, newest first."""
        return list(await self._redis.zrevrange(keys.owned_runs(owner), skip, skip + limit - 1))
