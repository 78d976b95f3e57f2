"""A TCP proxy between the workers and their Redis that delays, cuts or swallows what passes."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

CHUNK_BYTES = 65536


class FaultProxy:
    """Forwards a free port on loopback to another one, from a thread of its own.

    A blackhole keeps every connection open and takes new ones, but nothing passes in either
    direction and nobody is told: what a dead network looks like from inside.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._delay_s = 0.0
        self._pairs: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._open = self._run_soon(self._new_event())
        self._server = self._run_soon(self._listen())
        self.port = int(self._server.sockets[0].getsockname()[1])

    def blackhole(self) -> None:
        """Let nothing pass from now on."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def heal(self) -> None:
        """Let everything pass again; connections made meanwhile go on."""
        self._delay_s = 0.0
        self._loop.call_soon_threadsafe(self._open.set)

    def delay(self, seconds: float) -> None:
        """Hold back every piece for a while."""
        self._delay_s = seconds

    def cut(self) -> int:
        """Reset every connection; returns how many there were."""
        return int(self._run_soon(self._cut()))

    def close(self) -> None:
        """Stop listening, reset every connection and end the thread."""
        self._run_soon(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run_soon(self, work: Coroutine[Any, Any, Any]) -> Any:
        if not hasattr(self, "_thread"):
            self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
            self._thread.start()
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _new_event(self) -> asyncio.Event:
        event = asyncio.Event()
        event.set()
        return event

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._connected, "127.0.0.1", 0)

    async def _cut(self) -> int:
        pairs = list(self._pairs)
        for pair in pairs:
            pair.cancel()
        if pairs:
            await asyncio.wait(pairs)
        return len(pairs)

    async def _shut(self) -> None:
        self._server.close()
        await self._cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # transports that were aborted close their sockets now

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pairs.add(task)
        try:
            await self._open.wait()
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
            ways = [
                asyncio.ensure_future(self._carry(reader, up_writer)),
                asyncio.ensure_future(self._carry(up_reader, writer)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                up_writer.transport.abort()
            await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass  # the connection ends below, which is all that its ends can see
        finally:
            writer.transport.abort()
            self._pairs.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(CHUNK_BYTES):
            if self._delay_s:
                await asyncio.sleep(self._delay_s)
            await self._open.wait()
            writer.write(piece)
            await writer.drain()


@contextlib.contextmanager
def proxied(target_port: int) -> Iterator[FaultProxy]:
    """Run a proxy for as long as the block lasts."""
    proxy = FaultProxy(target_port)
    try:
        yield proxy
    finally:
        proxy.close()
