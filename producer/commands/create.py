"""`run`, `persona`, `tweets`, `images`: the commands that make something."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from producer import inputs, session
from producer.admission import admit
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
from producer.out_folder import check_out_folder
from producer.plan import plan_pictures, plan_run
from producer.standing import standing
from producer.submit import check_workers, new_run_id, submit
from tasks.deps import Deps
from tasks.errors import BadInputError
from tasks.images.intake import portrait_png
from tasks.images.renderer import renderer_spec
from tasks.schemas.plan import Request, RunPlan, Source
from tasks.stages.calendar import HINT as CALENDAR_HINT
from tasks.stages.calendar import parse_calendar

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
    origins = read_origins(brief, image, text)
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
        calendars=read_calendars(calendar, len(spread), tweets),
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
    spread = inputs.spread(read_origins(brief, image, text), checked_personas(personas))
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
        calendars=read_calendars(calendar, len(persona), count),
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


def read_origins(briefs: list[Path], images: list[Path], texts: list[str]) -> list[inputs.Origin]:
    """Read everything that characters come from. Raises BadInputError."""
    return [
        *(inputs.read_brief(path) for path in briefs),
        *(inputs.read_image(path) for path in images),
        *(inputs.brief(text, label=f"text {i}") for i, text in enumerate(texts, 1)),
    ]


def check_count(option: str, count: int) -> None:
    """Refuse a count below one. Raises BadInputError."""
    if count < 1:
        raise BadInputError(f"{option} is {count}", hint="give a whole number from 1")
    if count > MOST_TWEETS:
        raise BadInputError(f"{option} is {count}", hint=f"at most {MOST_TWEETS} for a character")


MOST_TWEETS = 1000


def checked_personas(personas: int | None) -> int | None:
    """Refuse a number of characters below one. Raises BadInputError."""
    if personas is not None and personas < 1:
        raise BadInputError(f"--personas is {personas}", hint="give a whole number from 1")
    return personas


def checked_renderer(renderer: str) -> str:
    """Refuse a renderer that does not exist. Raises ConfigurationError."""
    if renderer:
        renderer_spec(renderer)
    return renderer


def read_calendars(paths: list[Path], personas: int, tweets: int) -> tuple[str, ...]:
    """Read calendar files: one for all characters, or one for each. Raises BadInputError."""
    if len(paths) not in (0, 1, personas):
        raise BadInputError(
            f"{len(paths)} calendars for {personas} characters",
            hint="give one --calendar for all, or one for each character",
        )
    texts = [inputs.read_text(path, what="calendar", hint=CALENDAR_HINT) for path in paths]
    for path, text in zip(paths, texts, strict=True):
        parse_calendar(text, label=str(path), days=tweets)
    return tuple(texts)


def build_request(kind: str, **fields: Any) -> Request:
    """Build a request. Raises BadInputError for an unknown language or priority."""
    allowed = {"language": ("en", "zh"), "priority": ("interactive", "batch")}
    for name, values in allowed.items():
        if name in fields and fields[name] not in values:
            raise BadInputError(
                f"--{name} {fields[name]!r} is unknown", hint=f"one of: {', '.join(values)}"
            )
    return Request.model_validate({"kind": kind, **fields})


async def start(
    deps: Deps,
    draft: Request,
    spread: list[tuple[inputs.Origin, int, int]],
    out: Path | None,
    detach: bool,
    as_json: bool,
) -> int:
    """Upload pictures, plan and submit a run that makes characters."""
    run_id = new_run_id()
    draft = draft.model_copy(update=chosen(run_id, draft, out))
    sources = tuple(
        source_of(origin, run_id, number, variant, variants)
        for number, (origin, variant, variants) in enumerate(spread)
    )
    request = draft.model_copy(update={"sources": sources})
    plan = plan_run(run_id, request)
    await check_workers(deps, request)
    await admit(deps, plan)
    for source, (origin, _, _) in zip(sources, spread, strict=True):
        if origin.picture is not None:
            await deps.blobs.put_async(source.image_blob, portrait_png(origin.picture))
    return await go(deps, plan, detach=detach, as_json=as_json)


def source_of(
    origin: inputs.Origin, run_id: str, number: int, variant: int, variants: int
) -> Source:
    """Turn an origin into the source of one character."""
    return Source(
        label=origin.label,
        text=origin.text,
        image_blob=f"sources/{run_id}/p{number}.png" if origin.picture else "",
        variant=variant,
        variants=variants,
    )


def chosen(run_id: str, request: Request, out: Path | None) -> dict[str, Any]:
    """Choose folder, first day and seed. Raises BadInputError for a folder that will not do."""
    folder = (out or Path("castline-out") / run_id).absolute()
    check_out_folder(folder, None)
    return {
        "out": str(folder),
        "first_day": request.first_day or tomorrow(),
        "seed": request.seed or int.from_bytes(run_id.encode()[-4:]) % 2**31,
    }


def tomorrow() -> str:
    """The day that a calendar begins with, unless a file says otherwise."""
    from datetime import UTC, datetime, timedelta

    return (datetime.now(UTC) + timedelta(days=1)).date().isoformat()


async def submit_and_tell(deps: Deps, plan: RunPlan) -> None:
    """Submit a plan; tell when it has to wait behind others."""
    state, calls, drains_s = met_by(await submit(deps, plan), plan.request.priority)
    if state != "low" and plan.calls:
        say(f"{queue_text(calls, drains_s)}: this run waits its turn.")


async def go(deps: Deps, plan: RunPlan, *, detach: bool, as_json: bool) -> int:
    """Submit a plan and follow it, unless detached."""
    submitting = submit_and_tell(deps, plan)
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
