"""One event loop in a thread of its own, for callers that have none: Celery's threads and children.

Everything asynchronous of a worker process (ledger, gate, model client) lives on this loop, so one
connection pool serves all of its threads.
"""

import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

T = TypeVar("T")


class Portal:
    """Runs coroutines on its loop and hands their results to the calling thread."""

    def __init__(self) -> None:
        self._context: AbstractContextManager[BlockingPortal] = start_blocking_portal(
            "asyncio", backend_options={"use_uvloop": sys.platform != "win32"}, name="castline-loop"
        )
        self._portal = self._context.__enter__()

    def call(self, function: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> T:
        """Run `function(*arguments)` on the loop and wait for it; its exceptions are ours."""
        result: T = self._portal.call(function, *arguments)
        return result

    def start(self, function: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> Future[T]:
        """Run `function(*arguments)` on the loop without waiting."""
        return self._portal.start_task_soon(function, *arguments)

    def close(self) -> None:
        """Stop the loop; what still runs on it is cancelled."""
        self._portal.start_task_soon(self._portal.stop, True)
        self._context.__exit__(None, None, None)
