"""The shelf in Redis, shared by every process of a cluster; one script for each question."""

from functools import lru_cache
from importlib.resources import files
from typing import Any

from redis.exceptions import RedisError

from tasks.errors import ServiceAwayError
from tasks.llm.cache.shelf import Kind, Place
from tasks.pipelining import Argument, Pipelining, Script

PREFIX = "castline:cache"


@lru_cache
def source(name: str) -> str:
    """Read one script."""
    return files("tasks.llm.cache").joinpath("lua").joinpath(f"{name}.lua").read_text()


class RedisShelf:
    """Entries under `castline:cache:HASH`, which Redis lets expire."""

    def __init__(self, redis: Any) -> None:
        pipelining = Pipelining(redis)
        names = ("ask", "renew", "settle")
        self._scripts = {name: Script(pipelining, source(name)) for name in names}

    async def ask(self, entry: str, *, token: str, waited_for: str, lease_s: float) -> Place:
        """Look, or lead: see Shelf.ask."""
        verdict, text = await self._call("ask", entry, token, waited_for, milliseconds(lease_s))
        if verdict == "found":
            return Place("found", text=text)
        return Place(verdict, leader=text)

    async def renew(self, entry: str, *, token: str, lease_s: float) -> None:
        """Go on leading: see Shelf.renew."""
        await self._call("renew", entry, token, milliseconds(lease_s))

    async def put(self, entry: str, *, token: str, kind: Kind, text: str, ttl_s: float) -> None:
        """Share an outcome: see Shelf.put."""
        await self._call("settle", entry, token, kind, text, milliseconds(ttl_s))

    async def step_down(self, entry: str, *, token: str) -> None:
        """Stop leading: see Shelf.step_down."""
        await self._call("settle", entry, token, "", "", 0)

    async def _call(self, name: str, entry: str, *arguments: Argument) -> Any:
        try:
            return await self._scripts[name]([f"{PREFIX}:{entry}"], arguments)
        except (RedisError, OSError) as error:
            raise ServiceAwayError(f"the cache's Redis is away: {type(error).__name__}") from error


def milliseconds(seconds: float) -> int:
    """Turn seconds into whole milliseconds, at least one."""
    return max(1, int(seconds * 1000))
