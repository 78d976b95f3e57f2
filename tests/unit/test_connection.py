"""Redis connections: what waits on one can be cancelled at any moment."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tasks.connection import connect

pytestmark = pytest.mark.anyio


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """Run a server that answers every command with OK."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                if line.startswith(b"*"):  # each command begins with the count of its parts
                    writer.write(b"+OK\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0?protocol=2"


async def test_what_asks_again_and_again_ends_when_it_is_cancelled_at_any_moment(url: str) -> None:
    redis = connect(url)

    async def ask_for_ever() -> None:
        while True:
            await redis.get("key")

    for turns in range(60):
        task = asyncio.create_task(ask_for_ever())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        ended, _ = await asyncio.wait({task}, timeout=2)
        task.cancel()
        assert ended, f"cancelled after {turns} turns of the loop, it goes on"
        assert task.cancelled()
    await redis.aclose()
