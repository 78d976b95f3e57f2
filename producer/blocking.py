"""The blocking faces of handles: the same names, for programs without a loop."""

from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar

from producer.discussions import SessionEvent, SessionView
from producer.handles import AsyncDiscussion, AsyncHandle, AsyncRun
from producer.repeating import AnalysisResult
from producer.results import RunResult
from tasks.portal import Portal
from tasks.schemas.status import RunStatus, StepEvent

R = TypeVar("R")
E = TypeVar("E")


class Handle(Generic[R, E]):
    """The blocking face of a handle."""

    def __init__(self, portal: Portal, inner: AsyncHandle[R, E]) -> None:
        self._portal = portal
        self._inner = inner

    @property
    def id(self) -> str:
        """The id, for later and for the command line."""
        return self._inner.id

    def result(self) -> R:
        """Read what there is by now."""
        return self._portal.call(self._inner.result)

    def wait(self, *, timeout_s: float | None = None) -> R:
        """Wait until it has ended. Raises TimeoutError; it goes on then."""

        async def waited() -> R:
            return await self._inner.wait(timeout_s=timeout_s)

        return self._portal.call(waited)

    def events(self, after: str = "0-0") -> Iterator[E]:
        """Follow it from its beginning, or after an event's id, to its end."""
        stream = self._inner.events(after)

        async def following() -> E | None:
            return await anext(stream, None)

        while (event := self._portal.call(following)) is not None:
            yield event

    def cancel(self) -> None:
        """Stop it: what has not begun is dropped, what is running may finish."""
        self._portal.call(self._inner.cancel)


class RunHandle(Handle[RunResult, StepEvent]):
    """A run of characters, tweets and pictures."""

    _inner: AsyncRun

    def status(self) -> RunStatus:
        """Read counts, calls, tokens and failures."""
        return self._portal.call(self._inner.status)

    def picture(self, name: str) -> bytes:
        """Fetch the PNG of a `picture` or `portrait` of its result. Raises BadInputError."""
        return self._portal.call(self._inner.picture, name)

    def save(self, folder: Path | str) -> Path:
        """Write its folder, with the page to look at, as `castline results` does."""
        return self._portal.call(self._inner.save, folder)


class AnalysisHandle(Handle[AnalysisResult, StepEvent]):
    """Rounds of topic analyses; its id is the first round's."""


class DiscussionHandle(Handle[SessionView, SessionEvent]):
    """A discussion session of one user."""

    _inner: AsyncDiscussion

    def ask(self, question: str) -> int:
        """Put a question before all agents; returns the round that answers it."""
        return self._portal.call(self._inner.ask, question)

    def end(self) -> None:
        """Bring it to its end: what was said is summed up."""
        self._portal.call(self._inner.end)
