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
Ended = tuple["asyncio.Future[asyncio.Task[Any]]", "asyncio.Task[Any]"]


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
        future.add_done_callback(partial(self._ended, crossing))
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

    def _ended(self, crossing: Crossing[Any], future: "Future[Any]") -> None:
        if future.cancelled():
            self._leave(crossing)

    def _leave(self, crossing: Crossing[Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended
            self._inbox.put(crossing.leave)


class Asker:
    """A loop whose coroutines wait for calls on ours."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.waiting = 0
        self._loop = loop
        self._ended: list[Ended] = []

    def tell(self, answer: "asyncio.Future[asyncio.Task[Any]]", task: "asyncio.Task[Any]") -> None:
        """Pass an ended call on, together with those that end in the same turn of our loop."""
        if not task.cancelled():
            task.exception()  # heard of, also when nobody is there any more
        self._ended.append((answer, task))
        if len(self._ended) == 1:
            asyncio.get_running_loop().call_soon(self._tell_all)

    def _tell_all(self) -> None:
        ended, self._ended = self._ended, []
        with contextlib.suppress(RuntimeError):  # the asker's loop is closed
            self._loop.call_soon_threadsafe(wake, ended)


def wake(ended: "list[Ended]") -> None:
    """Wake those who wait for calls, if they still do."""
    for answer, task in ended:
        if not answer.done():
            answer.set_result(task)
