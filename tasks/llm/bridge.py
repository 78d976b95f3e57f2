"""Carries calls from any thread and any loop to a session on a loop of its own.

Opens the session before the first call and closes it, with its thread, after the last; what a call
is, is the session's business.
"""

import asyncio
import atexit
import contextlib
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from concurrent.futures import CancelledError as FutureCancelledError
from concurrent.futures import Future
from typing import Any, TypeVar

from tasks.errors import CastlineError, ClientClosedError
from tasks.llm.providers import Provider
from tasks.llm.session import Put, Session
from tasks.portal import Portal
from tasks.schemas.completion import ChatRequest
from tasks.settings import Settings

T = TypeVar("T")
Function = Callable[..., Coroutine[Any, Any, T]]


class Bridge:
    """One session with its thread. Its functions raise ClientClosedError once it is closed."""

    def __init__(self, settings: Settings, provider: Provider) -> None:
        self._settings = settings
        self._provider = provider
        self._lock = threading.Lock()
        self._closed = False
        self._portal: Portal | None = None
        self._session: Session | None = None

    def open(self) -> None:
        """Open the session unless it is open."""
        self._opened()

    def start(self, function: Function[T], *arguments: Any) -> Future[T]:
        """Run `function(session, *arguments)` there without waiting; cancelling ends it."""
        session, portal = self._opened()
        try:
            return portal.start(function, session, *arguments)
        except RuntimeError:  # closed this moment
            raise closed_error() from None

    def wait(self, function: Function[T], *arguments: Any) -> T:
        """Run `function(session, *arguments)` there and block this thread meanwhile."""
        future = self.start(function, *arguments)
        try:
            return future.result()
        except FutureCancelledError:
            raise closed_error() from None
        finally:
            future.cancel()  # nobody waits for it after Ctrl-C

    async def hop(self, function: Function[T], *arguments: Any) -> T:
        """Run `function(session, *arguments)` there without blocking this loop."""
        session, portal = self._opened()
        try:
            ended = await portal.hop(function, session, *arguments)
        except RuntimeError:  # closed this moment
            raise closed_error() from None
        if ended.cancelled():
            raise closed_error()
        return ended.result()

    def pieces(self, request: ChatRequest) -> Iterator[str]:
        """Stream a request to this thread; closing the iterator ends the call."""
        arrived: queue.SimpleQueue[str | CastlineError | None] = queue.SimpleQueue()
        relay = self._relay(request, arrived.put)
        try:
            while (piece := arrived.get()) is not None:
                if isinstance(piece, CastlineError):
                    raise piece
                yield piece
        finally:
            relay.cancel()

    async def pieces_async(self, request: ChatRequest) -> AsyncGenerator[str, None]:
        """Stream a request to this loop; closing the iterator ends the call."""
        arrived: asyncio.Queue[str | CastlineError | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def put(piece: str | CastlineError | None) -> None:
            with contextlib.suppress(RuntimeError):  # the reader's loop is closed
                loop.call_soon_threadsafe(arrived.put_nowait, piece)

        relay = self._relay(request, put)
        try:
            while (piece := await arrived.get()) is not None:
                if isinstance(piece, CastlineError):
                    raise piece
                yield piece
        finally:
            relay.cancel()

    def close(self, *, now: bool = False) -> None:
        """Let what is under way end (`now`: cancel it) and close; twice is once."""
        with self._lock:
            closed, self._closed = self._closed, True
            session, portal = self._session, self._portal
        if closed or session is None or portal is None:
            return
        try:
            portal.call(lambda: session.close(now=now))
        finally:
            portal.close()
            atexit.unregister(self.abandon)

    def abandon(self) -> None:
        """Cancel what is under way and close: the program ends."""
        self.close(now=True)

    def _opened(self) -> tuple[Session, Portal]:
        session, portal = self._session, self._portal
        if session is not None and portal is not None and not self._closed:
            return session, portal
        with self._lock:
            if self._closed:
                raise closed_error()
            if self._session is None or self._portal is None:
                self._portal = Portal()
                try:
                    self._session = self._portal.call(open_session, self._settings, self._provider)
                except BaseException:
                    self._portal.close()
                    raise
                atexit.register(self.abandon)  # a loop that nobody closed would hang the exit
            return self._session, self._portal

    def _relay(self, request: ChatRequest, put: Put) -> Future[None]:
        """Start a stream; its end is put too when it is cancelled from the other side."""
        relay = self.start(Session.relay, request, put)

        def ended(done: Future[None]) -> None:
            if done.cancelled():
                put(closed_error())

        relay.add_done_callback(ended)
        return relay


async def open_session(settings: Settings, provider: Provider) -> Session:
    """Open a session on the loop that runs this."""
    return Session(settings, provider)


def closed_error() -> ClientClosedError:
    """Say that the client is closed."""
    return ClientClosedError("the client is closed", hint="make a new LLMClient")
