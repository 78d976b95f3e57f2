"""Loads the ledger's Lua scripts and calls them with a run's keys."""

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

from tasks.store import keys
from tasks.store.connection import TextRedis

Argument = str | int | float


@lru_cache
def source(name: str) -> str:
    """Read one script with the shared prelude in front of it."""
    folder = files("tasks.store").joinpath("lua")
    prelude = folder.joinpath("prelude.lua").read_text()
    return prelude + folder.joinpath(f"{name}.lua").read_text()


class Scripts:
    """The scripts, registered once per client; `call` runs one for one run."""

    def __init__(self, redis: TextRedis, retention_s: int) -> None:
        self._redis = redis
        self._retention_s = retention_s
        self._scripts: dict[str, Any] = {}

    async def call(
        self,
        name: str,
        run_id: str,
        arguments: Sequence[Argument],
        *,
        extra_keys: Sequence[str] = (),
        client: Any = None,
    ) -> Any:
        """Run script `name`; `client` is a pipeline to queue it on instead."""
        script = self._scripts.get(name)
        if script is None:
            script = self._scripts[name] = self._redis.register_script(source(name))
        return await script(
            keys=[*keys.RunKeys(run_id).all, keys.DUE, keys.CONSUMED, *extra_keys],
            args=[run_id, self._retention_s, f"{keys.GPU_STEPS}:", *arguments],
            client=client,
        )
