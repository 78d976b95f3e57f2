"""Loads the ledger's Lua scripts and calls them with a run's keys."""

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

from tasks.pipelining import Argument, Pipelining, Script
from tasks.store import keys


@lru_cache
def source(name: str) -> str:
    """Read one script with the shared prelude in front of it."""
    folder = files("tasks.store").joinpath("lua")
    prelude = folder.joinpath("prelude.lua").read_text()
    return prelude + folder.joinpath(f"{name}.lua").read_text()


class Scripts:
    """The scripts of one ledger; `call` runs one for one run."""

    def __init__(self, pipelining: Pipelining, retention_s: int) -> None:
        self._pipelining = pipelining
        self._retention_s = retention_s
        self._scripts: dict[str, Script] = {}

    async def call(
        self,
        name: str,
        run_id: str,
        arguments: Sequence[Argument],
        *,
        extra_keys: Sequence[str] = (),
    ) -> Any:
        """Run script `name`."""
        script = self._scripts.get(name)
        if script is None:
            script = self._scripts[name] = Script(self._pipelining, source(name))
        return await script(
            [*keys.RunKeys(run_id).all, keys.DUE, keys.CONSUMED, keys.QUARANTINED, *extra_keys],
            [run_id, self._retention_s, f"{keys.GPU_STEPS}:", *arguments],
        )
