"""Begins, reads, asks and ends discussion sessions; it prints nothing.

A session is a ledger run of kind `discussion`. Somebody else's session is one that does not exist.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Literal

from pydantic import ValidationError

from producer.admission import admit
from producer.standing import standing
from producer.submit import check_room, check_workers, new_run_id, send_ready
from producer.tailing import run_events
from tasks.deps import Deps
from tasks.errors import BadInputError, OverloadedError
from tasks.schemas.discussions import (
    Discussion,
    QuestionDocument,
    SummaryDocument,
    TurnDocument,
)
from tasks.schemas.frozen import Frozen
from tasks.schemas.ledger import RunSnapshot
from tasks.schemas.plan import Request, RunPlan, StepRow
from tasks.schemas.status import StepEvent
from tasks.schemas.steps import StepName, summary_step, turn_step
from tasks.store.sessions import Entry

RETRY_AFTER_S = 60.0


class SessionView(Frozen):
    """One session at one moment; `position` counts from 1 in the waiting room, 0 has a slot."""

    session: str
    state: str
    topic: str
    agents: tuple[str, ...]
    position: int
    turns: tuple[TurnDocument, ...] = ()
    questions: tuple[QuestionDocument, ...] = ()
    summary: SummaryDocument | None = None
    calls: int = 0
    tokens: int = 0
    seconds: float = 0.0
    failures: tuple[str, ...] = ()

    @property
    def success(self) -> bool:
        """Whether it came to its end with everything that was to be said."""
        return self.state == "done"


class SessionEvent(Frozen):
    """One thing that happened in a session; `id` is what to go on after.

    `question` is the one that a turn answers, "" in the rounds of the discussion itself.
    """

    id: str
    kind: Literal["turn", "summary", "state"]
    state: str = ""
    turn: TurnDocument | None = None
    question: str = ""
    summary: SummaryDocument | None = None


def checked(**fields: Any) -> Discussion:
    """Check what is to be discussed. Raises BadInputError that names what is wrong."""
    try:
        return Discussion.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadInputError(f"{first['loc'][0]}: {first['msg']}") from None


def plan_discussion(run_id: str, request: Request) -> RunPlan:
    """Lay out every turn of every round, and the summary behind them."""
    if request.discussion is None:
        raise BadInputError("there is nothing to discuss")
    discussion = request.discussion
    rows: list[StepRow] = []
    before: tuple[str, ...] = ()
    for number in range(1, discussion.rounds + 1):
        added, before = round_rows(discussion, number, before)
        rows += added
    rows.append(
        StepRow(id=summary_step(), kind="summary", item=run_id, persona=0, needs=before, calls=1)
    )
    return RunPlan(run_id=run_id, request=request, steps=tuple(rows))


def round_rows(
    discussion: Discussion, number: int, before: tuple[str, ...]
) -> tuple[list[StepRow], tuple[str, ...]]:
    """Lay out one round after these steps; returns its rows and the steps that end it."""
    rows: list[StepRow] = []
    needs = before
    for agent in range(len(discussion.agents)):
        step = turn_step(agent, number)
        rows.append(StepRow(id=step, kind="turn", item=step, persona=agent, needs=needs, calls=1))
        if discussion.order == "turns":
            needs = (step,)
    ending = needs if discussion.order == "turns" else tuple(row.id for row in rows)
    return rows, ending


async def start(deps: Deps, request: Request, *, run_id: str = "") -> SessionView:
    """Begin a session, or put it into the waiting room; `run_id` is a new one unless given.

    Raises NoWorkerError, RedisFullError, and OverloadedError when the queue is full or the user has
    as many sessions as one may have; nothing is written then.
    """
    run_id = run_id or new_run_id()
    plan = plan_discussion(run_id, request)
    await check_room(deps, steps=len(plan.steps))
    await check_workers(deps, request)
    await admit(deps, plan)
    discussion = request.discussion
    entry = await deps.sessions.enter(run_id, discussion.user if discussion else "")
    if entry.position < 0:
        raise too_many(entry)
    submissions = deps.ledger.submissions
    await submissions.begin(plan)
    await submissions.write_rows(plan)
    if entry.position == 0:
        await send_ready(deps, run_id, await submissions.accept(run_id), request)
    else:
        await submissions.let_wait(run_id)
    return await view(deps, run_id, user=discussion.user if discussion else "")


def too_many(entry: Entry) -> OverloadedError:
    """Refuse somebody who has as many sessions as one may have."""
    return OverloadedError(
        f"you have {entry.held} sessions at once, and more are not allowed",
        queued_calls=0,
        drain_s=None,
        retry_after_s=RETRY_AFTER_S,
        hint="end one with `castline discuss end SESSION`, or wait until one is done",
    )


async def snapshot_of(deps: Deps, run_id: str, *, user: str) -> RunSnapshot:
    """Read a session's run. Raises BadInputError when it does not exist or is somebody else's."""
    try:
        snapshot = await deps.reader.snapshot(run_id)
    except BadInputError:
        raise unknown(run_id) from None
    discussion = snapshot.request.discussion
    if discussion is None or discussion.user != user:
        raise unknown(run_id)
    return snapshot


def unknown(run_id: str) -> BadInputError:
    """Say that there is no such session, whoever asks."""
    return BadInputError(
        f"no session {run_id!r} (it may have expired)", hint="`castline discuss list` shows yours"
    )


async def view(deps: Deps, run_id: str, *, user: str) -> SessionView:
    """Read a session whole. Raises BadInputError when it does not exist or is somebody else's."""
    snapshot = await snapshot_of(deps, run_id, user=user)
    discussion = snapshot.request.discussion
    assert discussion is not None  # noqa: S101  # snapshot_of has looked
    steps = [step for step in snapshot.rows if StepName.parse(step).is_turn]
    steps.sort(key=lambda step: (StepName.parse(step).slot, StepName.parse(step).persona))
    found = await deps.reader.documents(run_id, [*steps, summary_step()])
    summary = found.pop(summary_step(), None)
    position = await place_of(deps, run_id)
    stands = standing(snapshot)
    return SessionView(
        session=run_id,
        state="waiting" if position else stands.state,
        topic=discussion.topic,
        agents=tuple(agent.name for agent in discussion.agents),
        position=position,
        turns=tuple(
            TurnDocument.model_validate(found[step].document) for step in steps if step in found
        ),
        questions=tuple(await deps.sessions.questions(run_id, planned=discussion.rounds)),
        summary=SummaryDocument.model_validate(summary.document) if summary else None,
        calls=stands.calls.made,
        tokens=stands.tokens.prompt + stands.tokens.completion,
        seconds=stands.seconds,
        failures=tuple(f"{f.item} {f.stage}: {f.error}" for f in stands.failures),
    )


async def place_of(deps: Deps, run_id: str) -> int:
    """Read a session's place in the waiting room, from 1; 0 when it does not wait."""
    waiting = await deps.sessions.waiting()
    return waiting.index(run_id) + 1 if run_id in waiting else 0


async def sessions_of(deps: Deps, user: str, *, limit: int | None = None) -> list[SessionView]:
    """Read a user's sessions, newest first: all, or so many."""
    views = []
    for run_id in list(reversed(await deps.sessions.of_user(user)))[:limit]:
        with contextlib.suppress(BadInputError):  # it expires just now, or was never written
            views.append(await view(deps, run_id, user=user))
    return views


async def ask(deps: Deps, run_id: str, question: str, *, user: str, question_id: str = "") -> int:
    """Put a question before all agents in a round of its own, at once if the session has ended.

    Returns the round, the same one for the same `question_id`. Raises BadInputError for an unknown
    or cancelled session and for an empty question; for a session that has ended also NoWorkerError,
    and OverloadedError when no slot is free or the user has as many sessions as one may have.
    """
    snapshot = await snapshot_of(deps, run_id, user=user)
    discussion = snapshot.request.discussion
    text = question.strip()
    if not text or discussion is None:
        raise BadInputError("the question is empty", hint="castline discuss ask SESSION QUESTION")
    known = await deps.sessions.round_of(run_id, question_id, planned=discussion.rounds)
    if known and turn_step(0, known) in snapshot.rows:
        return known
    if snapshot.cancelled:
        raise BadInputError(f"session {run_id!r} was cancelled", hint="begin another one")
    if snapshot.state == "finished":
        await check_workers(deps, snapshot.request)
        await take_slot_again(deps, run_id, user)
    number = await deps.sessions.add_question(
        run_id, text, planned=discussion.rounds, question_id=question_id or new_run_id()
    )
    before = {step for step, state in snapshot.states.items() if state in OPEN}
    if number - 1 > discussion.rounds:  # its steps may have come after the snapshot
        before.update(row.id for row in round_rows(discussion, number - 1, ())[0])
    rows, _ = round_rows(discussion, number, tuple(sorted(before)))
    await deps.sessions.touch(run_id)
    due = await deps.ledger.append(run_id, rows)
    await send_ready(deps, run_id, due, snapshot.request)
    return number


OPEN = frozenset({"waiting", "running"})


async def take_slot_again(deps: Deps, run_id: str, user: str) -> None:
    """Hold a slot while a session that has ended answers. Raises OverloadedError without one."""
    entry = await deps.sessions.enter_again(run_id, user)
    if entry.position < 0:
        raise too_many(entry)
    if entry.position:
        raise OverloadedError(
            "no slot is free for a question to a session that has ended",
            queued_calls=0,
            drain_s=None,
            retry_after_s=RETRY_AFTER_S,
            hint="ask again in a minute",
        )


async def end(deps: Deps, run_id: str, *, user: str) -> str:
    """Bring a session to its end: turns that have not begun are skipped, the summary is written.

    One that waits is cancelled. Returns the state that it was in. Raises BadInputError for an
    unknown session.
    """
    snapshot = await snapshot_of(deps, run_id, user=user)
    if await place_of(deps, run_id):
        await deps.sessions.leave(run_id)
        await deps.ledger.cancel(run_id)
        return "waiting"
    await deps.sessions.end(run_id)
    return standing(snapshot).state


async def events(
    deps: Deps, run_id: str, *, user: str, after: str = "0-0"
) -> AsyncIterator[SessionEvent | None]:
    """Yield what happens in a session after an event, until it has ended; None now and then."""
    await snapshot_of(deps, run_id, user=user)
    async for event in run_events(deps, run_id, after=after):
        if event is None:
            yield None
        elif (told := await told_by(deps, run_id, event)) is not None:
            yield told


async def told_by(deps: Deps, run_id: str, event: StepEvent) -> SessionEvent | None:
    """Read what an event of a session's run tells; None for what nobody would hear of."""
    if not event.step:
        return SessionEvent(id=event.id, kind="state", state=event.state)
    if event.state != "done":
        return None
    stored = (await deps.reader.documents(run_id, [event.step])).get(event.step)
    if stored is None:
        return None
    if StepName.parse(event.step).is_turn:
        turn = TurnDocument.model_validate(stored.document)
        question = await question_of(deps, run_id, turn.round)
        return SessionEvent(id=event.id, kind="turn", turn=turn, question=question)
    summary = SummaryDocument.model_validate(stored.document)
    return SessionEvent(id=event.id, kind="summary", summary=summary)


async def question_of(deps: Deps, run_id: str, number: int) -> str:
    """Read the question that a round answers; "" for a round of the discussion itself."""
    discussion = (await deps.request(run_id)).discussion
    planned = discussion.rounds if discussion else number
    if number <= planned:
        return ""
    asked = await deps.sessions.questions(run_id, planned=planned)
    return next((one.question for one in asked if one.round == number), "")
