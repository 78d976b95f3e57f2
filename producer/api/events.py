"""A run's events as server-sent events, to be resumed at any instance after any of them.

The event id is the entry's id in the run's stream, so `Last-Event-ID` is all that a browser needs
to miss nothing. Encoding and keep-alive are FastAPI's (docs/decisions/0033).
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent
from redis.exceptions import RedisError

from producer.api.problems import NothingMoreError, TooManyError
from producer.api.site import Caller, OwnRun, Site, ThisSite
from tasks.schemas.status import StepEvent

AGAIN_MS = 1000
LOOK_S = 10.0
FROM_THE_START = "0-0"

router = APIRouter(tags=["runs"])

LastEventId = Annotated[
    str,
    Header(
        alias="Last-Event-ID",
        pattern=r"^\d{1,16}-\d{1,10}$",
        description="The id of the last event that arrived; the stream goes on after it.",
    ),
]


async def stream_place(site: ThisSite, caller: Caller) -> AsyncIterator[None]:
    """Count a stream of this key while it lasts. Raises TooManyError for one too many."""
    most, mine = site.deps.settings.api_streams, site.streams.get(caller.id, 0)
    if mine >= most:
        raise TooManyError(f"this key follows {mine} streams here already", wait_s=AGAIN_MS / 1000)
    site.streams[caller.id] = mine + 1
    try:
        yield
    finally:
        site.streams[caller.id] -= 1
        if not site.streams[caller.id]:
            del site.streams[caller.id]


async def resumed_at(
    run_id: OwnRun, site: ThisSite, last_event_id: LastEventId = FROM_THE_START
) -> str:
    """Find where a stream goes on.

    Raises NothingMoreError (204, after which a browser stays away) when it was told its end.
    """
    if await site.deps.reader.ended(run_id, last_event_id):
        raise NothingMoreError
    return last_event_id


ResumedAt = Annotated[str, Depends(resumed_at)]
StreamPlace = Depends(stream_place)


@router.get(
    "/runs/{run_id}/events",
    response_class=EventSourceResponse,
    dependencies=[StreamPlace],
    responses={204: {"description": "The run has ended, and its end was told."}},
)
async def run_events(
    run_id: OwnRun, site: ThisSite, after: ResumedAt
) -> AsyncIterator[ServerSentEvent]:
    """Follow a run: every change of a step (`step`) and of the run (`run`), until it has ended.

    A run that has ended is told from its beginning, then the stream ends.
    """
    yield ServerSentEvent(retry=AGAIN_MS, comment="castline")
    async for event in events_of(site, run_id, after):
        kind = "step" if event.step else "run"
        yield ServerSentEvent(id=event.id, event=kind, data=event)


async def events_of(site: Site, run_id: str, after: str) -> AsyncIterator[StepEvent]:
    """Yield a run's events after one of them until the run has ended.

    It also ends when the instance stops, when Redis goes away and after `api_stream_s`: who was
    following asks again, here or elsewhere.
    """
    reader, until_s = site.deps.reader, time.monotonic() + site.deps.settings.api_stream_s
    with site.bells.listen(run_id, after) as bell, contextlib.suppress(RedisError, OSError):
        while not site.bells.closed and time.monotonic() < until_s:
            bell.clear()
            events = await reader.events_after(run_id, after)
            for event in events:
                after = event.id
                yield event
            if not events:
                if await reader.ended(run_id, after):
                    return
                await within(bell.wait(), LOOK_S)


T = TypeVar("T")


async def within(waiting: Awaitable[T], seconds: float) -> None:
    """Wait for something, but not for ever."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(waiting, seconds)
