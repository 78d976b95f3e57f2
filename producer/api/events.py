"""A run's events as server-sent events, to be resumed at any instance after any of them.

The event id is the entry's id in the run's stream, so `Last-Event-ID` is all that a browser needs
to miss nothing. Encoding and keep-alive are FastAPI's (docs/decisions/0033).
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent
from redis.exceptions import RedisError

from producer.api.problems import NothingMoreError, TooManyError
from producer.api.site import Caller, OwnRun, OwnSession, Site, ThisSite
from producer.discussions import told_by
from tasks.schemas.status import StepEvent

AGAIN_MS = 1000
LOOK_S = 10.0
FROM_THE_START = "0-0"

router = APIRouter()

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


async def resumed_at(site: Site, run_id: str, last_event_id: str) -> str:
    """Find where a stream goes on.

    Raises NothingMoreError (204, after which a browser stays away) when it was told its end.
    """
    if await site.deps.reader.ended(run_id, last_event_id):
        raise NothingMoreError
    return last_event_id


async def resumed_run(
    run_id: OwnRun, site: ThisSite, last_event_id: LastEventId = FROM_THE_START
) -> str:
    """Find where a run's stream goes on. Raises NothingMoreError."""
    return await resumed_at(site, run_id, last_event_id)


async def resumed_session(
    run_id: OwnSession, site: ThisSite, last_event_id: LastEventId = FROM_THE_START
) -> str:
    """Find where a discussion's stream goes on. Raises NothingMoreError."""
    return await resumed_at(site, run_id, last_event_id)


STREAM: dict[str, Any] = {
    "response_class": EventSourceResponse,
    "dependencies": [Depends(stream_place)],
    "responses": {204: {"description": "It has ended, and its end was told."}},
}


@router.get("/runs/{run_id}/events", tags=["runs"], **STREAM)
async def run_events(
    run_id: OwnRun, site: ThisSite, after: Annotated[str, Depends(resumed_run)]
) -> AsyncIterator[ServerSentEvent]:
    """Follow a run: every change of a step (`step`) and of the run (`run`), until it has ended.

    A run that has ended is told from its beginning, then the stream ends.
    """
    yield ServerSentEvent(retry=AGAIN_MS, comment="castline")
    async for event in events_of(site, run_id, after):
        kind = "step" if event.step else "run"
        yield ServerSentEvent(id=event.id, event=kind, data=event)


@router.get("/discussions/{run_id}/events", tags=["discussions"], **STREAM)
async def discussion_events(
    run_id: OwnSession, site: ThisSite, after: Annotated[str, Depends(resumed_session)]
) -> AsyncIterator[ServerSentEvent]:
    """Follow a discussion: what is said (`turn`, `summary`) and how it stands (`state`)."""
    yield ServerSentEvent(retry=AGAIN_MS, comment="castline")
    async for event in events_of(site, run_id, after):
        told = await told_by(site.deps, run_id, event)
        if told is not None:
            yield ServerSentEvent(id=told.id, event=told.kind, data=told)


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
        async with asyncio.timeout(seconds):
            await waiting
