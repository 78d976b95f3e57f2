"""Hands functions to an event loop from other threads: a burst of them wakes the loop once.

`call_soon_threadsafe` wakes it for each, by a system call and a fight for the interpreter's lock.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Function = Callable[..., Coroutine[Any, Any, T]]


class Inbox:
    """What one loop is to do next, for any thread to add to."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._woken = False

    def put(self, function: Callable[..., object], *arguments: Any) -> None:
        """Let the loop call a function, in order. Raises RuntimeError once the loop is closed."""
        self._waiting.append((function, arguments))
        if not self._woken:
            self._woken = True
            self._wake()

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._empty)
        except RuntimeError:
            self._woken = False
            raise

    def _empty(self) -> None:
        waiting = self._waiting
        try:
            while waiting:
                function, arguments = waiting.popleft()
                function(*arguments)
        finally:
            self._woken = False
            if waiting:  # it came after the last look, from somebody who thought we were awake
                self._woken = True
                self._wake()


class Crossing(Generic[T]):
    """A call that is made on another loop, in the context of who asked for it."""

    __slots__ = ("_answered", "_arguments", "_context", "_function", "_task")

    def __init__(
        self,
        function: Function[T],
        arguments: tuple[Any, ...],
        answered: "Callable[[asyncio.Task[T]], object]",
    ) -> None:
        self._function = function
        self._arguments = arguments
        self._answered = answered
        self._context = contextvars.copy_context()
        self._task: asyncio.Task[T] | None = None

    def begin(self) -> None:
        """Make the call, on its loop; `answered` hears of its end there."""
        try:
            work = self._function(*self._arguments)
        except Exception as error:  # noqa: BLE001  # it is the call's outcome
            work = failed(error)
        self._arguments = ()
        self._task = asyncio.get_running_loop().create_task(work, context=self._context)
        self._task.add_done_callback(self._end)

    def leave(self) -> None:
        """End the call, on its loop and after its beginning: nobody waits for it."""
        if self._task is not None:
            self._task.cancel()

    def _end(self, task: "asyncio.Task[T]") -> None:
        self._task, answered = None, self._answered  # who keeps the answer keeps us
        del self._answered
        answered(task)


async def failed(error: Exception) -> Any:
    """Fail as a call that failed before it could begin."""
    raise error


def tell(future: "Future[T]", task: "asyncio.Task[T]") -> None:
    """Pass a call's outcome on to a thread."""
    if task.cancelled():
        future.cancel()
    if not future.set_running_or_notify_cancel():
        return
    error = task.exception()
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(task.result())
