"""A request that provably never left is told from one that may have been read."""

import asyncio

import httpx
import pytest

from tasks.errors import ProviderDownError
from tasks.llm.answers import network_error
from tasks.llm.transport import Wire
from tests.castline import free_port

pytestmark = pytest.mark.anyio


async def failure_at(port: int) -> ProviderDownError:
    """Send a request that fails."""
    wire = Wire(f"http://127.0.0.1:{port}/v1", headers={}, timeout_s=5)
    try:
        with pytest.raises(httpx.HTTPError) as caught:
            await wire.send(wire.post("x", {}, key="k"))
    finally:
        await wire.close()
    return network_error(caught.value, provider="p")


async def test_a_request_that_found_no_server_was_not_sent() -> None:
    error = await failure_at(free_port())
    assert not error.sent
    assert "ClientConnectorError" in str(error)


async def test_a_request_whose_server_hung_up_on_it_was_sent() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        error = await failure_at(server.sockets[0].getsockname()[1])
    assert error.sent


async def test_an_answer_that_is_no_http_is_a_network_error_and_was_sent() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.example.com ready\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        error = await failure_at(server.sockets[0].getsockname()[1])
    assert error.sent
