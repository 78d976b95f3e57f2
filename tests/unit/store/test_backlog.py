"""The backlog's contract on fakeredis, which runs the same Lua."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis

from tests.contracts.backlog import BacklogContract


@pytest.fixture
async def redis(anyio_backend: str) -> AsyncIterator[Any]:
    """Open an empty in-memory Redis."""
    client = FakeAsyncRedis(decode_responses=True)
    yield client
    await client.aclose()


class TestBacklogOnFakeredis(BacklogContract):
    """All of it."""
