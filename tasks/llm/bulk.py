"""Many items at once: results in the items' order, errors in their places, items taken as they fit.

What is done with an item is the caller's; here is only how many are taken ahead.
"""

import asyncio
import threading
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from tasks.errors import CastlineError

T = TypeVar("T")
R = TypeVar("R")


def in_order(
    items: Iterable[T], start: Callable[[T], Future[R]], *, at_once: int
) -> list[R | CastlineError]:
    """Start an item whenever fewer than `at_once` are unfinished; wait for all.

    Items are taken in this thread. What is no CastlineError ends all of it, as Ctrl-C does.
    """
    results: dict[int, R | CastlineError] = {}
    started: dict[int, Future[R]] = {}
    source, room = enumerate(items), threading.Semaphore(at_once)

    def ended(at: int, future: Future[R]) -> None:
        if not future.cancelled() and isinstance(future.exception(), CastlineError | None):
            results[at] = value_of(future)
            del started[at]  # its result is small, what leads to it is not
        room.release()

    try:
        while room.acquire() and (taken := next(source, None)) is not None:
            at, item = taken
            try:
                started[at] = future = start(item)
            except CastlineError as error:
                results[at] = error
                room.release()
            else:
                future.add_done_callback(partial(ended, at))
        for at, future in started.copy().items():
            results[at] = value_of(future)
        return [results[at] for at in range(len(results))]
    finally:
        for future in started.copy().values():
            future.cancel()


def value_of(started: Future[Any]) -> Any:
    """Wait for a result; our errors are results."""
    try:
        return started.result()
    except CastlineError as error:
        return error


async def in_order_async(
    items: Iterable[T] | AsyncIterable[T], start: Callable[[T], Awaitable[R]], *, at_once: int
) -> list[R | CastlineError]:
    """Start an item whenever fewer than `at_once` are unfinished; wait for all.

    Items are taken on this loop. What is no CastlineError ends all of it, as cancelling does.
    """
    started: list[asyncio.Task[R | CastlineError]] = []
    room = asyncio.Semaphore(at_once)

    async def one(item: T) -> R | CastlineError:
        try:
            return await start(item)
        except CastlineError as error:
            return error
        finally:
            room.release()

    try:
        async with asyncio.TaskGroup() as group:
            await room.acquire()
            async for item in each_of(items):
                started.append(group.create_task(one(item)))
                await room.acquire()
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in started]


async def each_of(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    """Go through either kind."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
