"""Opens what a command works with: settings, a Redis that answers, the ledger."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from tasks.connection import check
from tasks.deps import Deps, open_deps
from tasks.settings import load_settings


@contextlib.asynccontextmanager
async def session() -> AsyncIterator[Deps]:
    """Open the ledger for one command. Raises ServiceAwayError when Redis is away."""
    settings = load_settings()
    await check(settings.broker_url())
    deps = await open_deps(settings)
    try:
        yield deps
    finally:
        await deps.close()


def run(command: Callable[[Deps], Coroutine[Any, Any, int]]) -> int:
    """Run an asynchronous command with a session; returns its exit code."""

    async def inside() -> int:
        async with session() as deps:
            return await command(deps)

    return asyncio.run(inside())
