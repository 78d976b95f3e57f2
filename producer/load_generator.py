"""Generates load: calls at a steady rate, so many at once, each of them measured."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tasks.errors import CastlineError


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """How hard and how long: `rate` calls a second (0 = as fast as they return)."""

    rate: float
    seconds: float
    in_flight: int


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One call: when it ended, how long it took, and how it failed ("" = it did not).

    Seconds count from the beginning of the load; `took_s` from the moment at which the call was
    due, so that a generator or a client that lags behind does not look fast.
    """

    ended_s: float
    took_s: float
    error: str = ""


async def generate(
    call: Callable[[int], Awaitable[object]],
    plan: LoadPlan,
    *,
    note: Callable[[Shot], None],
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Call until the time is over, and wait for what is under way; `note` hears of each end."""
    begun_s, number = now(), 0
    room = asyncio.Semaphore(plan.in_flight)

    async def one(number: int, due_s: float) -> None:
        error = ""
        try:
            await call(number)
        except CastlineError as failed:
            error = type(failed).__name__
        finally:
            room.release()
        ended_s = now()
        note(Shot(ended_s=ended_s - begun_s, took_s=ended_s - due_s, error=error))

    async with asyncio.TaskGroup() as group:
        while True:
            due_s = begun_s + number / plan.rate if plan.rate else now()
            await sleep(max(0.0, due_s - now()))
            await room.acquire()
            if max(due_s, now()) - begun_s >= plan.seconds:
                return
            group.create_task(one(number, due_s if plan.rate else now()))
            number += 1
