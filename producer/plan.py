"""The pure plan of a run: from a request to its steps; ids and sizes, no document, no clock."""

from math import ceil

from tasks.schemas.plan import STAGES as STAGE_NAMES
from tasks.schemas.plan import Request, RunPlan, StepRow
from tasks.schemas.steps import (
    calendar_step,
    chain_step,
    collect_step,
    picture_step,
    portrait_step,
    tweet_step,
)
from tasks.stages.calendar import DAYS_A_CALL
from tasks.stages.registry import STAGES

TWEETS_A_SLOT = 3


def plan_run(run_id: str, request: Request) -> RunPlan:
    """Lay out every step of a run before anything is written or sent.

    A character that comes from a card file has no chain. Pictures of given tweets are planned by
    `plan_pictures`. Calls that travel in batches are not counted: they queue nowhere here.
    """
    rows: list[StepRow] = []
    for persona, source in enumerate(request.sources):
        if not source.card_json:
            rows += chain_rows(persona, request)
        if request.images and not source.image_blob and not source.card_json:
            rows.append(portrait_row(persona))
        if request.tweets:
            rows += tweet_rows(persona, request, from_card=bool(source.card_json))
    if request.batch_api:
        rows = [row.model_copy(update={"calls": 0}) for row in rows]
    return RunPlan(run_id=run_id, request=request, steps=tuple(rows))


def window(request: Request, *, slots: int) -> int:
    """Choose how many characters of a run are made at a time, for `slots` calls at once.

    A chain keeps a little more than one call under way, so as many chains as slots use all of them
    even before the first tweet; more would only postpone tweets and pictures. Batches take no
    slots: there all characters are made at once (0). Of an analysis as many topics are begun at a
    time as it says, else as it has calls at once.

    A character with a card makes room when its tweets have ended, so as many are begun as have
    tweets for all slots and for the time until the next begins; without a calendar of their own, as
    many more as have one made.
    """
    if request.batch_api:
        return 0
    if request.analysis is not None and request.analysis.batch_size:
        return request.analysis.batch_size
    at_once = min(slots, request.max_concurrent or slots)
    if request.kind != "tweets":
        return at_once
    writing = 1 + ceil(TWEETS_A_SLOT * at_once / request.tweets)
    return writing if request.calendars else at_once + writing


def chain_rows(persona: int, request: Request) -> list[StepRow]:
    """Rows of the seven stages and the assembly: each after those it reads and the one before.

    In batch mode a stage waits only for those that it reads: each wait may take a day. A character
    from a picture takes a call more, to look at it.
    """
    looks = int(bool(request.sources[persona].image_blob))
    rows: list[StepRow] = []
    last = ""
    for part in (*STAGE_NAMES, "assemble"):
        calls = STAGES[part].calls if part in STAGES else 0
        before = STAGE_NAMES if part == "assemble" else STAGES[part].reads
        if last and last not in before and not request.batch_api:
            before = (*before, last)
        rows.append(
            StepRow(
                id=chain_step(persona, part),
                kind="stage",
                item=f"p{persona}",
                persona=persona,
                needs=tuple(chain_step(persona, needed) for needed in before),
                calls=calls + looks * (part == "core"),
            )
        )
        last = part
    return rows


def portrait_row(persona: int) -> StepRow:
    """Row of the rendered portrait, due when the visual profile is there."""
    return StepRow(
        id=portrait_step(persona),
        kind="portrait",
        item=portrait_step(persona),
        persona=persona,
        needs=(chain_step(persona, "visual"),),
    )


def tweet_rows(persona: int, request: Request, *, from_card: bool) -> list[StepRow]:
    """Rows of the calendar, the tweets, their pictures and the collect."""
    assemble = () if from_card else (chain_step(persona, "assemble"),)
    calendar = calendar_step(persona)
    rows = [
        StepRow(
            id=calendar,
            kind="calendar",
            item=f"p{persona}",
            persona=persona,
            needs=assemble,
            calls=0 if request.calendars else ceil(request.tweets / DAYS_A_CALL),
        )
    ]
    for slot in range(1, request.tweets + 1):
        tweet = tweet_step(persona, slot)
        rows.append(
            StepRow(
                id=tweet,
                kind="tweet",
                item=tweet,
                persona=persona,
                needs=(calendar,),
                calls=STAGES["tweet"].calls,
            )
        )
        if request.images:
            rows.append(picture_row(persona, slot, needs=(tweet,)))
    tweets = tuple(tweet_step(persona, slot) for slot in range(1, request.tweets + 1))
    rows.append(
        StepRow(
            id=collect_step(persona),
            kind="collect",
            item=f"p{persona}",
            persona=persona,
            needs=tweets,
        )
    )
    return rows


def picture_row(persona: int, slot: int, *, needs: tuple[str, ...] = ()) -> StepRow:
    """Row of one tweet's picture."""
    step = picture_step(persona, slot)
    return StepRow(id=step, kind="picture", item=step, persona=persona, needs=needs)


def plan_pictures(
    run_id: str, request: Request, tweets: tuple[tuple[dict[str, object], ...], ...]
) -> RunPlan:
    """Lay out a run that only draws: one picture per given tweet, per character."""
    rows: list[StepRow] = []
    documents: dict[str, dict[str, object]] = {}
    for persona, written in enumerate(tweets):
        for slot, tweet in enumerate(written, 1):
            documents[tweet_step(persona, slot)] = tweet
            rows.append(picture_row(persona, slot))
    return RunPlan(run_id=run_id, request=request, steps=tuple(rows), documents=documents)
