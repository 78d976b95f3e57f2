"""The contract of batch calls on fakeredis, which runs the same Lua."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis

from tests.contracts.batch_calls import BatchCallsContract


@pytest.fixture
async def redis(anyio_backend: str) -> AsyncIterator[Any]:
    """Open an empty in-memory Redis."""
    client = FakeAsyncRedis(decode_responses=True)
    yield client
    await client.aclose()


class TestBatchCallsOnFakeredis(BatchCallsContract):
    """All of it."""
