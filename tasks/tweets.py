"""The tasks that write tweets, in small groups, and gather a character's batch."""

import asyncio
from typing import Any

from celery import Task

from tasks import dispatch
from tasks.app import app
from tasks.deps import Deps
from tasks.execution import Outcome, perform
from tasks.llm.scope import CallTally
from tasks.outcomes import go_on_or_stop
from tasks.runtime import runtime
from tasks.schemas.plan import Request
from tasks.schemas.steps import StepName, calendar_step, picture_step, tweet_step
from tasks.stages.registry import STAGES
from tasks.stages.stage import StageInputs
from tasks.work import asker, card_of, made_from, model_of


@app.task(name="tweet.write", bind=True, ignore_result=False)
def write_tweets(self: Task, run_id: str, steps: list[str]) -> list[str]:
    """Write a small group of tweets at once; each succeeds or fails for itself.

    Returns the outcomes: a chord counts members, whatever became of them.
    """
    queue = self.request.delivery_info["routing_key"]
    return list(runtime().run(write_group, run_id, steps, queue))


@app.task(name="tweet.collect", bind=True)
def collect_tweets(self: Task, run_id: str, step: str) -> None:
    """Gather a character's tweets once all of them have an outcome: the chord's body."""
    queue = self.request.delivery_info["routing_key"]
    go_on_or_stop(runtime().run(collect, run_id, step, queue), step)


async def write_group(deps: Deps, run_id: str, steps: list[str], queue: str) -> list[Outcome]:
    """Write a group's tweets side by side and send each one's picture as soon as it is stored."""
    return list(await asyncio.gather(*(write_one(deps, run_id, s, queue) for s in steps)))


async def write_one(deps: Deps, run_id: str, step: str, queue: str) -> Outcome:
    """Write one tweet, then send its picture if one is planned."""
    request = await deps.request(run_id)
    outcome = await write_tweet(deps, request, run_id, step, queue)
    if outcome == "done" and request.images:
        name = StepName.parse(step)
        await dispatch.send_placed(deps.ledger, run_id, picture_step(name.persona, name.slot))
    return outcome


async def write_tweet(deps: Deps, request: Request, run_id: str, step: str, queue: str) -> Outcome:
    """Do one tweet step."""
    name = StepName.parse(step)
    card = await card_of(deps, run_id, name.persona, request)
    planned = await deps.reader.documents(run_id, [calendar_step(name.persona)])
    if card is None or not planned:
        return "elsewhere"
    days = planned[calendar_step(name.persona)].document["calendar"]
    date = sorted(days)[name.slot - 1]
    stage = STAGES["tweet"]
    hashed = made_from(
        stage.name, stage.version, model_of(deps), request.language, card, name.slot, days[date]
    )

    async def work(tally: CallTally) -> dict[str, Any]:
        inputs = StageInputs(
            source=request.sources[name.persona],
            language=request.language,
            persona_index=name.persona,
            card=card,
            slot=name.slot,
            date=date,
            day=days[date],
        )
        ask = asker(deps, request, run_id=run_id, step=step, made_from=hashed, tally=tally)
        return (await stage.write(inputs, ask)).model_dump(mode="json")

    return await perform(deps, run_id, step, made_from=hashed, queue=queue, work=work)


async def collect(deps: Deps, run_id: str, step: str, queue: str) -> Outcome:
    """Note what became of each tweet of a character."""
    request = await deps.request(run_id)
    persona = StepName.parse(step).persona
    steps = [tweet_step(persona, slot) for slot in range(1, request.tweets + 1)]
    states = await deps.reader.states(run_id, steps)
    hashed = made_from("collect", "1", "", states)

    async def work(_: CallTally) -> dict[str, Any]:
        return {"tweets": states}

    return await perform(deps, run_id, step, made_from=hashed, queue=queue, work=work)
