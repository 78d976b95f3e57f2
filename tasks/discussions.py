"""The tasks of a discussion: one turn, and the summary; thin wrappers over their stage."""

from typing import Any

from celery import Task
from structlog.contextvars import bind_contextvars

from tasks.app import app
from tasks.deps import Deps
from tasks.errors import BadInputError
from tasks.execution import Outcome, perform
from tasks.llm.scope import CallTally
from tasks.origins import made_from
from tasks.outcomes import go_on_or_stop
from tasks.runtime import runtime
from tasks.schemas.discussions import Discussion, Ending, TurnDocument
from tasks.schemas.plan import Request
from tasks.schemas.steps import StepName, turn_step
from tasks.stages.discussion import VERSION, Said, summarise, take_turn
from tasks.work import asker, models_of


@app.task(name="discussion.turn", bind=True)
def speak(self: Task, run_id: str, step: str) -> None:
    """Let one agent speak."""
    queue = self.request.delivery_info["routing_key"]
    go_on_or_stop(runtime().run(do_turn, run_id, step, queue), step)


@app.task(name="discussion.summary", bind=True)
def sum_up(self: Task, run_id: str, step: str) -> None:
    """Sum the discussion up."""
    queue = self.request.delivery_info["routing_key"]
    go_on_or_stop(runtime().run(do_summary, run_id, step, queue), step)


async def do_turn(deps: Deps, run_id: str, step: str, queue: str) -> Outcome:
    """Ask an agent, unless something has ended the discussion: then the turn is skipped."""
    request, discussion = await discussion_of(deps, run_id)
    name = StepName.parse(step)
    agent, number = discussion.agents[name.persona], name.slot
    bind_contextvars(agent=agent.name)
    said = await heard(deps, run_id, discussion, before=name)
    hashed = made_from(
        "turn", VERSION, models_of(deps).chat, request.language, discussion.topic,
        agent.model_dump(), number, [one.model_dump() for one in said],
    )  # fmt: skip

    async def work(tally: CallTally) -> dict[str, Any]:
        ending = await ended(deps, run_id, discussion, said, number=number)
        if ending:
            skipped = TurnDocument(agent=agent.name, round=number, skipped=ending)
            return skipped.model_dump(mode="json")
        ask = asker(deps, request, run_id=run_id, step=step, made_from=hashed, tally=tally)
        turn = await take_turn(
            ask, discussion, agent, said, number=number, language=request.language
        )
        return turn.model_dump(mode="json")

    await deps.sessions.touch(run_id)
    return await perform(deps, run_id, step, made_from=hashed, queue=queue, work=work)


async def do_summary(deps: Deps, run_id: str, step: str, queue: str) -> Outcome:
    """Sum up what was said."""
    request, discussion = await discussion_of(deps, run_id)
    said = await heard(deps, run_id, discussion)
    spoken = [one for one in said if isinstance(one, TurnDocument) and not one.skipped]
    skipped = [one.skipped for one in said if isinstance(one, TurnDocument) and one.skipped]
    ending: Ending = skipped[0] if skipped and skipped[0] else "rounds"
    hashed = made_from(
        "summary",
        VERSION,
        models_of(deps).chat,
        request.language,
        [one.model_dump() for one in said],
    )

    async def work(tally: CallTally) -> dict[str, Any]:
        if not spoken:
            raise BadInputError("nobody has spoken, so there is nothing to sum up")
        ask = asker(deps, request, run_id=run_id, step=step, made_from=hashed, tally=tally)
        summary = await summarise(ask, discussion, said, ended_by=ending, language=request.language)
        return summary.model_dump(mode="json")

    return await perform(deps, run_id, step, made_from=hashed, queue=queue, work=work)


async def discussion_of(deps: Deps, run_id: str) -> tuple[Request, Discussion]:
    """Read what a session discusses. Raises BadInputError for a run that is no discussion."""
    request = await deps.request(run_id)
    if request.discussion is None:
        raise BadInputError(f"run {run_id!r} is no discussion")
    return request, request.discussion


async def heard(
    deps: Deps, run_id: str, discussion: Discussion, *, before: StepName | None = None
) -> list[Said]:
    """Read what an agent has heard: earlier rounds, and in turns those before it in its own.

    In a round of questions the question comes first. Without `before`, everything.
    """
    asked = await deps.sessions.questions(run_id, planned=discussion.rounds)
    questions = {one.round: one for one in asked}
    last = discussion.rounds + len(asked) if before is None else before.slot
    steps = [
        turn_step(agent, number)
        for number in range(1, last + 1)
        for agent in range(len(discussion.agents))
        if before is None or number < before.slot or in_turn(discussion, agent, before)
    ]
    found = await deps.reader.documents(run_id, steps)
    said: list[Said] = []
    for number in range(1, last + 1):
        question = questions.get(number)
        if question is not None:
            said.append(question)
        said += [
            TurnDocument.model_validate(found[step].document)
            for step in steps
            if StepName.parse(step).slot == number and step in found
        ]
    return said


def in_turn(discussion: Discussion, agent: int, before: StepName) -> bool:
    """Whether an agent speaks before another in the same round."""
    return discussion.order == "turns" and agent < before.persona


async def ended(
    deps: Deps, run_id: str, discussion: Discussion, said: list[Said], *, number: int
) -> Ending | None:
    """Say what has ended the discussion by now, if anything; questions are answered in any case."""
    if number > discussion.rounds:
        return None
    session = await deps.sessions.state(run_id)
    if session.ended:
        return "ended"
    if any(isinstance(one, TurnDocument) and one.consensus for one in said):
        return "consensus"
    if discussion.budget_tokens and session.tokens >= discussion.budget_tokens:
        return "budget"
    if discussion.seconds and session.age_s >= discussion.seconds:
        return "time"
    return None
