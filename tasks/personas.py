"""The tasks of a character's chain: seven stages, assembly, calendar; thin wrappers over stages."""

from typing import Any

from celery import Task
from pydantic import BaseModel

from tasks import dispatch
from tasks.app import app
from tasks.deps import Deps
from tasks.errors import BadReplyError
from tasks.execution import Outcome, perform
from tasks.llm.scope import CallTally
from tasks.origins import calendar_days, calendar_origin, card_origin, given_calendar, stage_origin
from tasks.outcomes import go_on_or_stop
from tasks.runtime import runtime
from tasks.schemas.calls import CallUsage
from tasks.schemas.plan import STAGES as STAGE_NAMES
from tasks.schemas.plan import Request
from tasks.schemas.steps import StepName, chain_step, portrait_step
from tasks.stages.assemble import assemble
from tasks.stages.calendar import parse_calendar
from tasks.stages.registry import STAGES
from tasks.stages.stage import Stage, StageInputs
from tasks.work import asker, card_of, contents, models_of, parsed, picture_of, read_parts

NAME_TRIES = 3


def register_stage(name: str) -> None:
    """Register the task of one stage under its permanent name."""

    @app.task(name=f"persona.{name}", bind=True)
    def write_stage_task(self: Task, run_id: str, step: str) -> None:
        """Write one stage of a character."""
        here = runtime()
        outcome = here.run(write_stage, run_id, step, self.request.delivery_info["routing_key"])
        go_on_or_stop(outcome, step)
        if name == "visual" and outcome == "done":
            here.run(send_portrait, run_id, StepName.parse(step).persona)


for stage_name in STAGE_NAMES:
    register_stage(stage_name)


@app.task(name="persona.assemble", bind=True)
def assemble_persona(self: Task, run_id: str, step: str) -> None:
    """Merge a character's stages into its card."""
    queue = self.request.delivery_info["routing_key"]
    go_on_or_stop(runtime().run(assemble_card, run_id, step, queue), step)


@app.task(name="calendar.plan", bind=True)
def plan_calendar(self: Task, run_id: str, step: str) -> None:
    """Plan a character's days, then start its tweets: the step that ends the chain."""
    here = runtime()
    outcome = here.run(write_calendar, run_id, step, self.request.delivery_info["routing_key"])
    go_on_or_stop(outcome, step)
    if outcome == "done":
        request = here.portal.call(here.deps.request, run_id)
        if request.batch_api:
            return
        persona = StepName.parse(step).persona
        dispatch.send_tweets(run_id, persona, request, group=here.deps.settings.tweet_group)


async def write_stage(deps: Deps, run_id: str, step: str, queue: str) -> Outcome:
    """Do one of the seven stages."""
    request = await deps.request(run_id)
    name = StepName.parse(step)
    stage, source = STAGES[name.part], request.sources[name.persona]
    documents = await read_parts(deps, run_id, name.persona, stage.reads)
    if len(documents) < len(stage.reads):
        return "elsewhere"
    hashed = stage_origin(
        stage.name,
        models=models_of(deps),
        request=request,
        persona=name.persona,
        contents=contents(documents),
    )

    async def work(tally: CallTally) -> dict[str, Any]:
        inputs = StageInputs(
            source=source,
            language=request.language,
            image_data_url=await picture_of(deps, source),
            documents=parsed(documents),
            persona_index=name.persona,
        )
        if stage.name == "core":
            written = await write_core(deps, request, run_id, stage, inputs, hashed, tally)
        else:
            ask = asker(deps, request, run_id=run_id, step=step, made_from=hashed, tally=tally)
            written = await stage.write(inputs, ask)
        return written.model_dump(mode="json")

    return await perform(deps, run_id, step, made_from=hashed, queue=queue, work=work)


async def write_core(
    deps: Deps,
    request: Request,
    run_id: str,
    stage: Stage,
    inputs: StageInputs,
    made_from: str,
    tally: CallTally,
) -> BaseModel:
    """Write the core under a name that no other character of the run has.

    Raises BadReplyError when the model insists on taken names.
    """
    name = ""
    await deps.ledger.give_names_back(run_id, inputs.persona_index)
    for attempt in range(NAME_TRIES):
        held = await deps.ledger.taken_names(run_id)
        taken = tuple(sorted(n for p, n in held.items() if p != inputs.persona_index))
        step, hashed = chain_step(inputs.persona_index, "core"), f"{made_from}|{attempt}"
        ask = asker(deps, request, run_id=run_id, step=step, made_from=hashed, tally=tally)
        written = await stage.write(inputs.with_taken(taken), ask)
        name = str(written.model_dump()["name"])
        if await deps.ledger.take_name(run_id, name, inputs.persona_index):
            return written
    raise BadReplyError(f"{name!r} is the name of another character of this run")


async def send_portrait(deps: Deps, run_id: str, persona: int) -> None:
    """Send the portrait of a character whose visual profile is there, if one is planned."""
    step = portrait_step(persona)
    if await deps.reader.row(run_id, step) is not None:
        await dispatch.send_placed(deps.ledger, run_id, step)


async def assemble_card(deps: Deps, run_id: str, step: str, queue: str) -> Outcome:
    """Merge the seven documents; no model is called."""
    request = await deps.request(run_id)
    persona = StepName.parse(step).persona
    documents = await read_parts(deps, run_id, persona, STAGE_NAMES)
    if len(documents) < len(STAGE_NAMES):
        return "elsewhere"
    hashed = card_origin(run_id=run_id, request=request, contents=contents(documents))

    async def work(_: CallTally) -> dict[str, Any]:
        usage: dict[str, CallUsage] = {part: s.usage for part, s in documents.items()}
        return assemble(
            parsed(documents), run_id=run_id, language=request.language, usage_by_stage=usage
        )

    return await perform(deps, run_id, step, made_from=hashed, queue=queue, work=work)


async def write_calendar(deps: Deps, run_id: str, step: str, queue: str) -> Outcome:
    """Plan the days with the model, or take the user's calendar."""
    request = await deps.request(run_id)
    persona = StepName.parse(step).persona
    card = await card_of(deps, run_id, persona, request)
    if card is None:
        return "elsewhere"
    given = given_calendar(request, persona)
    stage = STAGES["calendar"]
    days = calendar_days(request)
    hashed = calendar_origin(
        models=models_of(deps), request=request, given=given, days=days, card=card
    )

    async def work(tally: CallTally) -> dict[str, Any]:
        if given:
            plan = parse_calendar(given, label="calendar", days=request.tweets)
            return plan.model_dump(mode="json")
        ask = asker(deps, request, run_id=run_id, step=step, made_from=hashed, tally=tally)
        inputs = StageInputs(
            source=request.sources[persona],
            language=request.language,
            persona_index=persona,
            card=card,
            dates=days,
        )
        return (await stage.write(inputs, ask)).model_dump(mode="json")

    return await perform(deps, run_id, step, made_from=hashed, queue=queue, work=work)
