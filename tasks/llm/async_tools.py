"""Small tools around awaitables: timeouts, limits, the way from sync code, batches.

They know nothing of models. `AsyncHelper` and `AsyncConfig` are the names that document 004 of the
requirements gives them.
"""

import asyncio
import contextvars
import inspect
import threading
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from concurrent.futures import Future
from typing import Generic, TypeVar

from tasks.errors import BadInputError
from tasks.llm.bulk import in_order_async
from tasks.settings import read_settings

T = TypeVar("T")
R = TypeVar("R")


async def run_with_timeout(awaitable: Awaitable[T], timeout: float) -> T:  # noqa: ASYNC109
    """Wait at most `timeout` seconds. Raises asyncio.TimeoutError; the work is cancelled then."""
    async with asyncio.timeout(timeout):
        return await awaitable


async def gather_with_limit(
    awaitables: Iterable[Awaitable[T]], limit: int, *, return_exceptions: bool = False
) -> list[T | BaseException]:
    """Await all, `limit` at a time; results in order.

    Coroutines begin when it is their turn. The first error cancels the rest and is raised, unless
    `return_exceptions` puts it in its place. Raises BadInputError for a limit below 1.
    """
    if limit < 1:
        raise BadInputError(f"limit: {limit!r} is not a whole number from 1")
    places = asyncio.Semaphore(limit)
    waiting = list(awaitables)

    async def one(awaitable: Awaitable[T]) -> T | BaseException:
        async with places:
            try:
                return await awaitable
            except Exception as error:
                if return_exceptions:
                    return error
                raise

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(awaitable)) for awaitable in waiting]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    finally:
        for awaitable in waiting:
            if inspect.iscoroutine(awaitable):
                awaitable.close()  # never begun: no warning; ended: nothing
    return [task.result() for task in tasks]


def run_async_in_sync(awaitable: Awaitable[T]) -> T:
    """Wait for an awaitable in sync code, also when a loop already runs in this thread.

    That loop stands still meanwhile: the awaitable runs on a loop of its own, in a thread of its
    own. Raises BadInputError for a future or task, which belongs to a loop already.
    """
    if asyncio.isfuture(awaitable):
        raise BadInputError(
            "awaitable: a task or future belongs to its own loop", hint="give the coroutine itself"
        )
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(awaited(awaitable))
    done: Future[T] = Future()
    context = contextvars.copy_context()
    thread = threading.Thread(target=lambda: context.run(run_into, done, awaitable), daemon=True)
    thread.start()
    thread.join()
    return done.result()


async def awaited(awaitable: Awaitable[T]) -> T:
    """Make a coroutine of any awaitable."""
    return await awaitable


def run_into(done: "Future[T]", awaitable: Awaitable[T]) -> None:
    """Run an awaitable on a new loop; its outcome is the future's."""
    try:
        done.set_result(asyncio.run(awaited(awaitable)))
    except BaseException as error:  # noqa: BLE001 raised where the future is read
        done.set_exception(error)


class AsyncBatchProcessor(Generic[T, R]):
    """Puts many items through one async function.

    At most `batch_size` items are taken and unfinished, `max_workers` of them are being processed.
    """

    def __init__(
        self,
        process_func: Callable[[T], Awaitable[R]],
        batch_size: int = 10,
        max_workers: int = 5,
    ) -> None:
        """Raises BadInputError for numbers below 1."""
        for name, number in (("batch_size", batch_size), ("max_workers", max_workers)):
            if number < 1:
                raise BadInputError(f"{name}: {number!r} is not a whole number from 1")
        self._process = process_func
        self._batch_size = batch_size
        self._max_workers = max_workers

    async def process_batch(self, items: Iterable[T] | AsyncIterable[T]) -> list[R | Exception]:
        """Process all; results in order, an error in its item's place."""
        places = asyncio.Semaphore(self._max_workers)

        async def one(item: T) -> R | Exception:
            async with places:
                try:
                    return await self._process(item)
                except Exception as error:  # noqa: BLE001 it is the item's result
                    return error

        return await in_order_async(items, one, at_once=self._batch_size)


class AsyncHelper:
    """The functions of this module under one name."""

    run_with_timeout = staticmethod(run_with_timeout)
    gather_with_limit = staticmethod(gather_with_limit)
    run_async_in_sync = staticmethod(run_async_in_sync)


class AsyncConfig:
    """The LLM_ASYNC_* variables as they are now. Each raises ConfigurationError for a wrong one."""

    @staticmethod
    def get_worker_count() -> int:
        """How many calls of a client are under way at once (LLM_ASYNC_WORKERS)."""
        return read_settings().async_workers

    @staticmethod
    def get_queue_size() -> int:
        """How many more may wait (LLM_ASYNC_QUEUE_SIZE)."""
        return read_settings().async_queue_size

    @staticmethod
    def get_timeout() -> float:
        """How many seconds a call may take in all (LLM_ASYNC_TIMEOUT)."""
        return read_settings().async_timeout_s

    @staticmethod
    def is_async_enabled() -> bool:
        """Whether the async functions may be called (LLM_ASYNC_ENABLED)."""
        return read_settings().async_enabled
