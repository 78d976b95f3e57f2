"""The tasks that write tweets, in small groups, and gather a character's batch."""

import asyncio
from dataclasses import dataclass
from typing import Any

from celery import Task

from tasks import crashing, dispatch
from tasks.app import app
from tasks.deps import Deps
from tasks.execution import Outcome, perform
from tasks.llm.scope import CallTally
from tasks.origins import card_hash, made_from, tweet_origin
from tasks.outcomes import go_on_or_stop
from tasks.runtime import runtime
from tasks.schemas.plan import Request
from tasks.schemas.steps import StepName, calendar_step, picture_step, tweet_step
from tasks.stages.registry import STAGES
from tasks.stages.stage import StageInputs
from tasks.work import asker, card_of, models_of


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


@dataclass(frozen=True)
class Material:
    """What a group's tweets are made from: read once, the same for all of them but the day."""

    card: dict[str, Any]
    card_hash: str
    days: dict[str, Any]


async def write_group(deps: Deps, run_id: str, steps: list[str], queue: str) -> list[Outcome]:
    """Write a group's tweets side by side and send each one's picture as soon as it is stored."""
    request = await deps.request(run_id)
    groups: dict[int, Material | None] = {}
    for persona in sorted({StepName.parse(step).persona for step in steps}):
        groups[persona] = await read_material(deps, run_id, persona, request)

    async def write_one(step: str) -> Outcome:
        day = groups[StepName.parse(step).persona]
        return await write_tweet(deps, request, day, run_id, step, queue)

    outcomes = list(await asyncio.gather(*(write_one(step) for step in steps)))
    if crashing.armed == "last_member" and await deps.reader.opened_by(run_id, steps[-1]):
        crashing.here("last_member")
    return outcomes


async def read_material(deps: Deps, run_id: str, persona: int, request: Request) -> Material | None:
    """Read a character's card and calendar; None while one of them is missing."""
    planned = calendar_step(persona)
    card, found = await asyncio.gather(
        card_of(deps, run_id, persona, request), deps.reader.documents(run_id, [planned])
    )
    if card is None or not found:
        return None
    return Material(card, card_hash(card), found[planned].document["calendar"])


async def write_tweet(
    deps: Deps, request: Request, material: Material | None, run_id: str, step: str, queue: str
) -> Outcome:
    """Write one tweet, then send its picture if one is planned."""
    if material is None:
        return "elsewhere"
    name, stage = StepName.parse(step), STAGES["tweet"]
    date = sorted(material.days)[name.slot - 1]
    day = material.days[date]
    hashed = tweet_origin(
        models=models_of(deps),
        request=request,
        card=material.card_hash,
        slot=name.slot,
        day=day,
    )

    async def work(tally: CallTally) -> dict[str, Any]:
        inputs = StageInputs(
            source=request.sources[name.persona],
            language=request.language,
            persona_index=name.persona,
            card=material.card,
            slot=name.slot,
            date=date,
            day=day,
        )
        ask = asker(deps, request, run_id=run_id, step=step, made_from=hashed, tally=tally)
        return (await stage.write(inputs, ask)).model_dump(mode="json")

    outcome = await perform(deps, run_id, step, made_from=hashed, queue=queue, work=work)
    if outcome == "done" and request.images:
        await dispatch.send_placed(deps.ledger, run_id, picture_step(name.persona, name.slot))
    return outcome


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
