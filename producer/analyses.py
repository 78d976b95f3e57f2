"""Runs rounds of topic analyses; it prints nothing.

A round is a ledger run of kind `analysis`; whoever asked for the rounds drives them, so an analysis
without end ends with its process (docs/decisions/0025). What came of a round is read and told by
`producer.analysis_results`.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field, FiniteFloat, ValidationError

from producer.analysis_results import Round, read_round
from producer.submit import new_run_id, submit
from tasks.deps import Deps
from tasks.errors import BadInputError, NoWorkerError, OverloadedError, ServiceAwayError
from tasks.routing import Priority
from tasks.schemas.analyses import MOST_TOPICS, TOPIC_CHARACTERS, Analysis
from tasks.schemas.frozen import Frozen
from tasks.schemas.ledger import RunSnapshot
from tasks.schemas.plan import Request, RunPlan, StepRow
from tasks.schemas.status import StepEvent
from tasks.schemas.steps import analyze_step, search_step
from tasks.stages.stage import Language

AGAIN_AFTER_S = 30.0


class Order(Frozen):
    """What somebody wants analysed: rounds (0 = for ever), seconds between them, calls at once."""

    analysis: Analysis
    iterations: int = Field(default=1, ge=0)
    delay_s: FiniteFloat = Field(default=0.5, ge=0)
    concurrency: int = Field(default=4, ge=1)
    language: Language = "en"
    priority: Priority = "interactive"


@dataclass
class Stopping:
    """How an analysis is ended early: `soon` begins no more topics, `now` waits for nothing."""

    soon: asyncio.Event = field(default_factory=asyncio.Event)
    now: asyncio.Event = field(default_factory=asyncio.Event)

    async def pause(self, seconds: float) -> None:
        """Wait so long, or until somebody wants to stop."""
        try:
            async with asyncio.timeout(seconds):
                await self.soon.wait()
        except TimeoutError:
            return


@dataclass(frozen=True)
class Listener:
    """Who is told what happens: a round begins, a step moves, a round has to wait and why."""

    begins: Callable[[int, RunSnapshot], None] = lambda _number, _snapshot: None
    moves: Callable[[StepEvent | None], None] = lambda _event: None
    waits: Callable[[Exception, float], None] = lambda _error, _seconds: None


def cleaned(topics: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Check topics; returns each once, in order, and those that were given more than once.

    Raises BadInputError for none, too many, an empty or a very long one.
    """
    texts = [" ".join(topic.split()) for topic in topics]
    if not texts:
        raise BadInputError(
            "there is no topic to analyse",
            hint='give some: --topics "…" "…", or --topics-file FILE (- reads stdin)',
        )
    if len(texts) > MOST_TOPICS:
        raise BadInputError(
            f"{len(texts):,} topics are too many: {MOST_TOPICS:,} at most in one analysis",
            hint="split the file",
        )
    for number, text in enumerate(texts, 1):
        if not text:
            raise BadInputError(f"topic {number} is empty")
        if len(text) > TOPIC_CHARACTERS:
            raise BadInputError(
                f"topic {number} has {len(text):,} characters; {TOPIC_CHARACTERS:,} are the most",
                hint=f"it begins with {text[:40]!r}: a topic is a phrase or a question, "
                "not a document",
            )
    twice = tuple(text for text, count in Counter(texts).items() if count > 1)
    return tuple(dict.fromkeys(texts)), twice


def checked(topics: Sequence[str], *, analysis: Mapping[str, Any], **figures: Any) -> Order:
    """Check topics and figures; a topic that is given twice is analysed once.

    Raises BadInputError that names what is wrong.
    """
    chosen, _ = cleaned(topics)
    try:
        return Order.model_validate({"analysis": {**analysis, "topics": chosen}, **figures})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadInputError(f"{first['loc'][-1]}: {first['msg']}") from None


def config_of(order: Order) -> dict[str, Any]:
    """Tell how an analysis was asked for; topics are in the results."""
    wanted = order.analysis
    return {
        "iterations": order.iterations,
        "concurrency": order.concurrency,
        "timeout": wanted.timeout_s,
        "delay": order.delay_s,
        "max_retries": wanted.max_retries,
        "batch_size": wanted.batch_size,
        "language": order.language,
    }


def request_of(order: Order) -> Request:
    """Build the request of one round."""
    return Request(
        kind="analysis",
        sources=(),
        language=order.language,
        priority=order.priority,
        max_concurrent=order.concurrency,
        analysis=order.analysis,
    )


def plan_analysis(run_id: str, request: Request) -> RunPlan:
    """Lay out a search and an analysis for each topic."""
    if request.analysis is None:
        raise BadInputError("there is nothing to analyse")
    rows: list[StepRow] = []
    for topic in range(len(request.analysis.topics)):
        search, analyse = search_step(topic), analyze_step(topic)
        item = f"p{topic}"
        rows += [
            StepRow(id=search, kind="search", item=item, persona=topic, calls=1),
            StepRow(
                id=analyse, kind="analysis", item=item, persona=topic, needs=(search,), calls=1
            ),
        ]
    return RunPlan(run_id=run_id, request=request, steps=tuple(rows))


async def rounds(
    deps: Deps, order: Order, *, stopping: Stopping | None = None, listener: Listener | None = None
) -> AsyncIterator[Round]:
    """Run round after round and give each when it has ended, the last one cut short if need be.

    A first round that cannot begin raises what `submit` raises; a later one waits and tries again.
    """
    stopping, listener = stopping or Stopping(), listener or Listener()
    number = 0
    while not stopping.soon.is_set() and (number < order.iterations or not order.iterations):
        if number:
            await stopping.pause(order.delay_s)
            if stopping.soon.is_set():
                return
        number += 1
        run_id = await begin(deps, order, number, stopping, listener)
        if not run_id:
            return
        await until_ended(deps, run_id, number, order, stopping, listener)
        yield await read_round(deps, run_id, number)


async def begin(
    deps: Deps, order: Order, number: int, stopping: Stopping, listener: Listener
) -> str:
    """Submit a round; "" when somebody wanted to stop while it had to wait."""
    while True:
        run_id = new_run_id()
        try:
            await submit(deps, plan_analysis(run_id, request_of(order)))
            return run_id
        except (OverloadedError, NoWorkerError, ServiceAwayError) as error:
            if number == 1:
                raise
            wait_s = error.retry_after_s if isinstance(error, OverloadedError) else AGAIN_AFTER_S
            listener.waits(error, wait_s)
            await stopping.pause(wait_s)
            if stopping.soon.is_set():
                return ""


async def until_ended(
    deps: Deps, run_id: str, number: int, order: Order, stopping: Stopping, listener: Listener
) -> None:
    """Wait for the end of a round.

    Asked to stop, begin no more topics and wait no longer than a topic may take.
    """
    snapshot = await deps.reader.snapshot(run_id)
    listener.begins(number, snapshot)
    if snapshot.state == "finished":
        return
    last_s = None
    async for event in deps.reader.events(run_id, snapshot.last_event, block_s=0.3):
        listener.moves(event)
        if event is not None and not event.step and event.state == "finished":
            return
        if stopping.soon.is_set() and last_s is None:
            last_s = time.monotonic() + order.analysis.timeout_s
            await deps.ledger.cancel(run_id, only="search")
        if stopping.now.is_set() or (last_s is not None and time.monotonic() > last_s):
            await deps.ledger.cancel(run_id)
            return
