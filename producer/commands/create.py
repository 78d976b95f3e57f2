"""`run`, `persona`, `tweets`, `images`: the commands that make something."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from producer import inputs, session
from producer.commands.options import (
    AsJson,
    BatchApi,
    Calendars,
    Detach,
    Language,
    MaxConcurrent,
    Out,
    Priority,
    RendererOption,
    Seed,
)
from producer.console import print_json, reporting, say
from producer.following import follow
from producer.load import met_by, queue_text
from producer.orders import Order, placed
from producer.plan import plan_pictures, plan_run
from producer.request import (
    build_request,
    check_count,
    checked_personas,
    checked_renderer,
    chosen,
)
from producer.standing import standing
from producer.submit import Uploads, new_run_id, submit
from tasks.deps import Deps
from tasks.schemas.plan import Request, RunPlan, Source

Briefs = Annotated[list[Path], typer.Option("--brief", help="Markdown brief of a character.")]
Images = Annotated[list[Path], typer.Option("--image", help="Picture of a character.")]
Texts = Annotated[list[str], typer.Option("--text", help="A character in a few words.")]
Personas = Annotated[
    int | None, typer.Option("--personas", help="How many characters in all; default one for each.")
]
Tweets = Annotated[int, typer.Option("--tweets", help="Tweets for each character, one a day.")]
WithImages = Annotated[
    bool, typer.Option("--images/--no-images", help="Draw a picture for every tweet.")
]


@reporting
def run(
    brief: Briefs = [],
    image: Images = [],
    text: Texts = [],
    personas: Personas = None,
    tweets: Tweets = 10,
    calendar: Calendars = [],
    images: WithImages = False,
    language: Language = "en",
    priority: Priority = "interactive",
    max_concurrent: MaxConcurrent = None,
    batch_api: BatchApi = False,
    renderer: RendererOption = "",
    seed: Seed = 0,
    detach: Detach = False,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Make characters, their tweets and the tweets' pictures: the main job."""
    check_count("--tweets", tweets)
    origins = inputs.read_origins(brief, image, text)
    spread = inputs.spread(origins, checked_personas(personas))
    draft = build_request(
        "run",
        sources=(),
        tweets=tweets,
        images=images,
        language=language,
        priority=priority,
        max_concurrent=max_concurrent,
        batch_api=batch_api,
        calendars=inputs.read_calendars(calendar, len(spread), tweets),
        renderer=checked_renderer(renderer),
        seed=seed,
    )
    raise typer.Exit(session.run(lambda d: start(d, draft, spread, out, detach, as_json)))


@reporting
def persona(
    brief: Briefs = [],
    image: Images = [],
    text: Texts = [],
    personas: Personas = None,
    language: Language = "en",
    priority: Priority = "interactive",
    max_concurrent: MaxConcurrent = None,
    batch_api: BatchApi = False,
    images: WithImages = False,
    detach: Detach = False,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Make characters only: the seven stages and the card."""
    spread = inputs.spread(inputs.read_origins(brief, image, text), checked_personas(personas))
    draft = build_request(
        "persona",
        sources=(),
        images=images,
        language=language,
        priority=priority,
        max_concurrent=max_concurrent,
        batch_api=batch_api,
    )
    raise typer.Exit(session.run(lambda d: start(d, draft, spread, out, detach, as_json)))


@reporting
def tweets(
    persona: Annotated[list[Path], typer.Option("--persona", help="Character card, JSON or PNG.")],
    count: Annotated[int, typer.Option("--count", help="Tweets for each character.")] = 10,
    calendar: Calendars = [],
    images: WithImages = False,
    language: Language = "en",
    priority: Priority = "interactive",
    max_concurrent: MaxConcurrent = None,
    batch_api: BatchApi = False,
    renderer: RendererOption = "",
    detach: Detach = False,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Write tweets for characters that exist, from their cards."""
    check_count("--count", count)
    request = build_request(
        "tweets",
        sources=tuple(inputs.read_card_source(path) for path in persona),
        tweets=count,
        images=images,
        language=language,
        priority=priority,
        max_concurrent=max_concurrent,
        batch_api=batch_api,
        calendars=inputs.read_calendars(calendar, len(persona), count),
        renderer=checked_renderer(renderer),
    )

    async def submit_and_follow(deps: Deps) -> int:
        run_id = new_run_id()
        placed = request.model_copy(update=chosen(run_id, request, out))
        return await go(deps, plan_run(run_id, placed), detach=detach, as_json=as_json)

    raise typer.Exit(session.run(submit_and_follow))


@reporting
def images(
    tweets: Annotated[list[Path], typer.Option("--tweets", help="tweets.json of a run.")],
    num_gpus: Annotated[
        int, typer.Option("--num-gpus", min=0, help="Image workers that must be there; 0 = any.")
    ] = 0,
    renderer: RendererOption = "",
    seed: Seed = 0,
    detach: Detach = False,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Draw the pictures of tweets that exist."""
    read = [inputs.read_tweets(path) for path in tweets]
    request = build_request(
        "images",
        sources=tuple(Source(label=name) for name, _ in read),
        images=True,
        renderer=checked_renderer(renderer),
        seed=seed,
        gpus=num_gpus,
    )

    async def submit_and_follow(deps: Deps) -> int:
        run_id = new_run_id()
        placed = request.model_copy(update=chosen(run_id, request, out))
        plan = plan_pictures(run_id, placed, tuple(written for _, written in read))
        return await go(deps, plan, detach=detach, as_json=as_json)

    raise typer.Exit(session.run(submit_and_follow))


async def start(
    deps: Deps,
    draft: Request,
    spread: list[tuple[inputs.Origin, int, int]],
    out: Path | None,
    detach: bool,
    as_json: bool,
) -> int:
    """Plan and submit a run that makes characters, some perhaps from pictures."""
    run_id = new_run_id()
    draft = draft.model_copy(update=chosen(run_id, draft, out))
    plan, pictures = placed(Order(draft=draft, spread=tuple(spread)), run_id)
    return await go(deps, plan, uploads=pictures, detach=detach, as_json=as_json)


async def submit_and_tell(deps: Deps, plan: RunPlan, uploads: Uploads) -> None:
    """Submit a plan; tell when it has to wait behind others."""
    load = await submit(deps, plan, uploads=uploads)
    state, calls, drains_s = met_by(load, plan.request.priority)
    if state != "low" and plan.calls:
        say(f"{queue_text(calls, drains_s)}: this run waits its turn.")


async def go(
    deps: Deps, plan: RunPlan, *, uploads: Uploads = (), detach: bool, as_json: bool
) -> int:
    """Submit a plan and follow it, unless detached."""
    submitting = submit_and_tell(deps, plan, uploads)
    if not detach:
        out = Path(plan.request.out)
        return await follow(deps, plan.run_id, out=out, as_json=as_json, submitting=submitting)
    try:
        await submitting
    except asyncio.CancelledError:
        say(f"Interrupted while submitting. Finish it with: castline retry {plan.run_id}")
        raise
    if as_json:
        print_json(standing(await deps.reader.snapshot(plan.run_id)))
    else:
        say(f"Run {plan.run_id} is under way. Follow it with: castline watch {plan.run_id}")
    return 0
