"""Starts and stops the simulated provider: sockets and signals; `provider.py` answers."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from tasks.errors import ServiceAwayError
from tasks.llm.simulator.log import RequestLog
from tasks.llm.simulator.options import SimulatorOptions
from tasks.llm.simulator.provider import SimulatedProvider

_SHUTDOWN_S = 0.1  # how long calls that are under way may still take


@contextlib.asynccontextmanager
async def listening(options: SimulatorOptions) -> AsyncIterator[int]:
    """Serve while the context is open; gives the bound port.

    Raises BadInputError for wrong faults or a log that cannot be written, ServiceAwayError when
    the port is taken.
    """
    with RequestLog(options.log) as log:
        provider = SimulatedProvider(options, log)
        runner = web.AppRunner(
            provider.application(),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=_SHUTDOWN_S,
        )
        await runner.setup()
        try:
            listener = await _listener(runner, provider, options)
            try:
                yield listener.sockets[0].getsockname()[1]
            finally:
                # not `async with`: from 3.12 it waits for clients that keep their connections open
                listener.close()
        finally:
            await runner.cleanup()


async def _listener(
    runner: web.AppRunner, provider: SimulatedProvider, options: SimulatorOptions
) -> asyncio.Server:
    protocols = runner.server
    if protocols is None:
        raise RuntimeError("the runner was not set up")

    def connected() -> asyncio.Protocol:
        provider.stats.connections += 1
        return protocols()

    loop = asyncio.get_running_loop()
    try:
        return await loop.create_server(connected, options.host, options.port, backlog=1024)
    except OSError as error:
        raise ServiceAwayError(
            f"cannot listen on {options.host}:{options.port}: {error.strerror}",
            hint="choose another --port, or 0 for any free one",
        ) from error


@contextlib.asynccontextmanager
async def running(options: SimulatorOptions) -> AsyncIterator[str]:
    """Serve while the context is open; gives the base URL, `http://127.0.0.1:PORT/v1`."""
    async with listening(options) as port:
        yield f"http://{options.host}:{port}/v1"


async def serve(options: SimulatorOptions, *, ready: Callable[[int], None] | None = None) -> None:
    """Serve until cancelled, SIGTERM or SIGINT; call `ready` with the bound port.

    Raises what `listening` raises.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with listening(options) as port:
            if ready is not None:
                ready(port)
            await stop.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
