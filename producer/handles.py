"""Handles on what was asked for through `producer.client`: follow it, read it, stop it."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from producer import discussions, incomplete
from producer.discussions import SessionEvent, SessionView
from producer.export import export_run
from producer.gathering import gather
from producer.results import RunResult, picture_of, result_of
from producer.tailing import run_events
from tasks.deps import Deps
from tasks.errors import BadInputError
from tasks.images.monogram import monogram_png
from tasks.schemas.status import RunStatus, StepEvent
from tasks.stages.card_png import embed_card

R = TypeVar("R")
E = TypeVar("E")


@dataclass(frozen=True)
class AsyncHandle(ABC, Generic[R, E]):
    """What was asked for, by its id; it goes on whether anybody holds a handle or not."""

    deps: Deps
    id: str

    @abstractmethod
    async def result(self) -> R:
        """Read what there is by now."""

    @abstractmethod
    def events(self, after: str = "0-0") -> AsyncIterator[E]:
        """Follow it from its beginning, or after an event's id, to its end."""

    @abstractmethod
    async def cancel(self) -> None:
        """Stop it: what has not begun is dropped, what is running may finish."""

    async def wait(self, *, timeout_s: float | None = None) -> R:
        """Wait until it has ended. Raises TimeoutError; it goes on then."""
        async with asyncio.timeout(timeout_s):
            async for _ in run_events(self.deps, self.id):
                pass
        return await self.result()


@dataclass(frozen=True)
class AsyncRun(AsyncHandle[RunResult, StepEvent]):
    """A run of characters, tweets and pictures."""

    async def status(self) -> RunStatus:
        """Read counts, calls, tokens and failures."""
        return incomplete.standing_now(self.deps, await self.deps.reader.snapshot(self.id))

    async def result(self) -> RunResult:
        """Read what it has made by now."""
        return await result_of(self.deps, await self.deps.reader.snapshot(self.id))

    async def events(self, after: str = "0-0") -> AsyncIterator[StepEvent]:
        """Follow every change of its steps, and of itself (`step` is "" then)."""
        async for event in run_events(self.deps, self.id, after=after):
            if event is not None:
                yield event

    async def cancel(self) -> None:
        """Drop what has not begun; one that was never wholly submitted is removed."""
        if not await incomplete.remove(self.deps, self.id):
            await self.deps.ledger.cancel(self.id)

    async def picture(self, name: str) -> bytes:
        """Fetch the PNG of a `picture` or `portrait` of its result. Raises BadInputError."""
        return await picture_of(self.deps, self.id, name)

    async def save(self, folder: Path | str) -> Path:
        """Write its folder, with the page to look at, as `castline results` does.

        Raises BadInputError when the folder holds something else or cannot be written.
        """
        out = await asyncio.to_thread(Path(folder).absolute)
        export = await gather(self.deps, await self.deps.reader.snapshot(self.id), out=out)
        return await asyncio.to_thread(
            export_run, export, out, embed=embed_card, monogram=monogram_png
        )


@dataclass(frozen=True)
class AsyncDiscussion(AsyncHandle[SessionView, SessionEvent]):
    """A discussion session of one user."""

    user: str = ""

    async def result(self) -> SessionView:
        """Read what was said by now."""
        return await discussions.view(self.deps, self.id, user=self.user)

    async def events(self, after: str = "0-0") -> AsyncIterator[SessionEvent]:
        """Follow what is said, to the summary."""
        async for event in discussions.events(self.deps, self.id, user=self.user, after=after):
            if event is not None:
                yield event

    async def ask(self, question: str) -> int:
        """Put a question before all agents; returns the round that answers it."""
        return await discussions.ask(self.deps, self.id, question, user=self.user)

    async def end(self) -> None:
        """Bring it to its end: what was said is summed up."""
        await discussions.end(self.deps, self.id, user=self.user)

    async def cancel(self) -> None:
        """Stop it without a summary."""
        await discussions.snapshot_of(self.deps, self.id, user=self.user)
        await self.deps.sessions.leave(self.id)
        await self.deps.ledger.cancel(self.id)


async def known_run(deps: Deps, run_id: str) -> AsyncRun:
    """Take a handle on a run that exists. Raises BadInputError for an unknown one."""
    request = await deps.reader.request(run_id)
    if request.discussion is not None:
        raise BadInputError(f"{run_id} is a discussion", hint="take it with .discussion(id)")
    return AsyncRun(deps, run_id)
