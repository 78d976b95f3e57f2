"""One event loop in a thread of its own, for callers that have none or one of their own.

Everything asynchronous of a worker process (ledger, gate, model client) lives on this loop, so one
connection pool serves all of its threads.
"""

import asyncio
import contextlib
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from tasks.inbox import Crossing, Inbox, tell

T = TypeVar("T")


class Portal:
    """Runs coroutines on its loop and hands their results to other threads and loops."""

    def __init__(self) -> None:
        self._context: AbstractContextManager[BlockingPortal] = start_blocking_portal(
            "asyncio", backend_options={"use_uvloop": sys.platform != "win32"}, name="castline-loop"
        )
        self._portal = self._context.__enter__()
        self._inbox = Inbox(self._portal.call(asyncio.get_running_loop))
        self._askers: dict[asyncio.AbstractEventLoop, Asker] = {}

    def call(self, function: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> T:
        """Run `function(*arguments)` on the loop and wait for it; its exceptions are ours."""
        return self.start(function, *arguments).result()

    def start(self, function: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> Future[T]:
        """Run `function(*arguments)` on the loop without waiting; cancelling ends it.

        Raises RuntimeError once the portal is closed.
        """
        future: Future[T] = Future()
        crossing = Crossing(function, arguments, partial(tell, future))

        def ended(future: Future[T]) -> None:
            if future.cancelled():
                self._leave(crossing)

        future.add_done_callback(ended)
        self._inbox.put(crossing.begin)
        return future

    async def hop(
        self, function: Callable[..., Coroutine[Any, Any, T]], *arguments: Any
    ) -> "asyncio.Task[T]":
        """Run `function(*arguments)` on the loop while another one waits; returns its ended task.

        Cancelling ends it. Raises RuntimeError once the portal is closed.
        """
        loop = asyncio.get_running_loop()
        asker = self._askers.get(loop)
        if asker is None:
            asker = self._askers[loop] = Asker(loop)
        answer: asyncio.Future[asyncio.Task[T]] = loop.create_future()
        crossing = Crossing(function, arguments, partial(asker.tell, answer))
        asker.waiting += 1
        try:
            self._inbox.put(crossing.begin)
            return await answer
        except asyncio.CancelledError:
            self._leave(crossing)
            raise
        finally:
            asker.waiting -= 1
            if not asker.waiting:
                self._askers.pop(loop, None)

    def close(self) -> None:
        """Stop the loop; what still runs on it is cancelled."""
        self._portal.start_task_soon(self._portal.stop, True)
        self._context.__exit__(None, None, None)

    def _leave(self, crossing: Crossing[Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended
            self._inbox.put(crossing.leave)


class Asker:
    """A loop whose coroutines wait for calls on ours."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.waiting = 0
        self._inbox = Inbox(loop)

    def tell(self, answer: "asyncio.Future[asyncio.Task[T]]", task: "asyncio.Task[T]") -> None:
        """Pass an ended call on, from our loop to its."""
        if not task.cancelled():
            task.exception()  # heard of, also when nobody is there any more
        with contextlib.suppress(RuntimeError):  # the asker's loop is closed
            self._inbox.put(settle, answer, task)


def settle(answer: "asyncio.Future[asyncio.Task[T]]", task: "asyncio.Task[T]") -> None:
    """Wake who waits for a call, if somebody still does."""
    if not answer.done():
        answer.set_result(task)
