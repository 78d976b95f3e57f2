"""Holders of all slots are killed with -9, one after another: never too many slots, none lost."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tasks.gate.gate import Gate
from tasks.gate.on_redis import RedisRules
from tasks.schemas.limits import Limits
from tests.castline import ROOT

SLOTS = 8
LEASE_S = 0.4
KILLS = 20
HOLDER = f"""
import asyncio, sys
from tasks.gate.gate import Gate
from tasks.gate.on_redis import RedisRules
from tasks.schemas.limits import Limits
from tasks.connection import connect

async def hold():
    rules = RedisRules(connect(sys.argv[1]))
    gate = Gate(rules, {{"p": Limits(slots={SLOTS})}}, lease_s={LEASE_S})
    print("waits", flush=True)
    await asyncio.gather(*(gate.acquire("p") for _ in range({SLOTS})))
    print("full", flush=True)
    await asyncio.Event().wait()

asyncio.run(hold())
"""

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


async def start_holder(url: str) -> asyncio.subprocess.Process:
    """Start a process that takes every slot and keeps it."""
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, url, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    await says(holder, "waits")
    return holder


async def says(holder: asyncio.subprocess.Process, word: str) -> None:
    """Wait until a holder says a word."""
    assert holder.stdout is not None
    line = await asyncio.wait_for(holder.stdout.readline(), 60)
    assert line.decode().strip() == word


@contextlib.asynccontextmanager
async def watched(gate: Gate, seen: list[int]) -> AsyncIterator[None]:
    """Note how many slots are held, all the time."""

    async def watch() -> None:
        while True:
            seen.append((await gate.state("p")).slots_in_use)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()


async def test_the_slots_of_killed_holders_return_and_are_never_more(
    redis: Any, valkey_url: str
) -> None:
    gate = Gate(RedisRules(redis), {"p": Limits(slots=SLOTS)})
    seen: list[int] = []
    holder = await start_holder(valkey_url)
    await says(holder, "full")
    async with watched(gate, seen):
        for _ in range(KILLS):
            heir = await start_holder(valkey_url)
            holder.kill()
            await holder.wait()
            await says(heir, "full")
            holder = heir
    holder.kill()
    await holder.wait()
    assert max(seen) == SLOTS
    await gate.close()
