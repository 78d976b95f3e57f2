"""Rounds of topic analyses driven in the background, for `producer.client`: handle and result."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from producer.analyses import Listener, Order, Stopping, config_of, rounds
from producer.analysis_results import Round, read_round, report
from producer.handles import AsyncHandle
from producer.tailing import run_events
from tasks.deps import Deps
from tasks.schemas.analyses import TopicResult
from tasks.schemas.frozen import Frozen
from tasks.schemas.ledger import RunSnapshot
from tasks.schemas.status import StepEvent


class AnalysisResult(Frozen):
    """What came of an analysis: its rounds, the last one perhaps not whole."""

    rounds: tuple[Round, ...]
    config: dict[str, Any]
    seconds: float

    @property
    def results(self) -> tuple[TopicResult, ...]:
        """Every topic of every round, as document 000 of the requirements names its parts."""
        return tuple(result for one in self.rounds for result in one.results)

    @property
    def success(self) -> bool:
        """Whether there were results, and none failed."""
        return bool(self.results) and all(result.success for result in self.results)

    def report(self) -> dict[str, Any]:
        """Tell it as the JSON that `castline analyze` writes."""
        return report(self.rounds, config=self.config, seconds=self.seconds)


class Rounds:
    """Begins one round after the other in a task of its own, until all are done or it is told."""

    def __init__(self, deps: Deps, order: Order) -> None:
        self.stopping = Stopping()
        self._deps = deps
        self._order = order
        self._ended: list[Round] = []
        self._ids: list[asyncio.Future[str]] = []
        self._begun_s = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    @property
    def over(self) -> bool:
        """Whether no round begins any more."""
        return self._task is not None and self._task.done()

    async def begin(self) -> str:
        """Begin the first round; returns its run. Raises what `submit` raises."""
        first = self._id_of(0)
        self._task = asyncio.create_task(self._drive())
        either: set[asyncio.Future[Any]] = {self._task, first}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not first.done() or not first.result():
            await self._task
        return first.result()

    async def run_of(self, number: int) -> str:
        """Wait for a round, from 0, to begin; "" when it never does."""
        if self.over and number >= len(self._ids):
            return ""
        return await asyncio.shield(self._id_of(number))

    async def ended(self) -> None:
        """Wait until the last round has ended. Raises what ended it before."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def result(self) -> AnalysisResult:
        """Read what came of it so far."""
        known = list(self._ended)
        under_way = self._ids[len(known)] if len(known) < len(self._ids) else None
        if under_way is not None and under_way.done() and under_way.result():
            known.append(await read_round(self._deps, under_way.result(), len(known) + 1))
        seconds = round(time.monotonic() - self._begun_s, 3)
        return AnalysisResult(rounds=tuple(known), config=config_of(self._order), seconds=seconds)

    async def close(self) -> None:
        """Begin no more rounds and wait for none."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _drive(self) -> None:
        try:
            listener = Listener(begins=self._begins)
            async for one in rounds(
                self._deps, self._order, stopping=self.stopping, listener=listener
            ):
                self._ended.append(one)
        finally:
            for waiting in self._ids:
                if not waiting.done():
                    waiting.set_result("")

    def _begins(self, number: int, snapshot: RunSnapshot) -> None:
        self._id_of(number - 1).set_result(snapshot.run_id)

    def _id_of(self, number: int) -> "asyncio.Future[str]":
        while len(self._ids) <= number:
            self._ids.append(asyncio.get_running_loop().create_future())
        return self._ids[number]


@dataclass(frozen=True)
class AsyncAnalysis(AsyncHandle[AnalysisResult, StepEvent]):
    """Rounds of topic analyses; `id` is the first round's run."""

    rounds: Rounds

    async def result(self) -> AnalysisResult:
        """Read what came of it by now."""
        return await self.rounds.result()

    async def events(self, after: str = "0-0") -> AsyncIterator[StepEvent]:
        """Follow every round, one after the other; `step` is "" for a round itself."""
        number = 0
        while run_id := await self.rounds.run_of(number):
            async for event in run_events(self.deps, run_id, after=after):
                if event is not None:
                    yield event
            number += 1

    async def wait(self, *, timeout_s: float | None = None) -> AnalysisResult:
        """Wait until the last round has ended. Raises TimeoutError; it goes on then."""
        async with asyncio.timeout(timeout_s):
            await self.rounds.ended()
        return await self.result()

    async def cancel(self) -> None:
        """Begin no more topics; those under way may take their time."""
        self.rounds.stopping.soon.set()
