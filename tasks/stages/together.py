"""Several model calls of one stage at once."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def together(calls: Iterable[Awaitable[T]]) -> list[T]:
    """Await all calls side by side; results come in the order of the calls.

    When one fails the others are cancelled and its error is raised: their replies could not be
    stored, so nothing more is spent on them.
    """
    futures = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*futures)
    finally:
        for future in futures:
            future.cancel()
        await asyncio.gather(*futures, return_exceptions=True)
