"""Does one step: claim, work, store; every ending becomes an outcome in the ledger.

The caller brings the work; this module owns what the ledger hears of it and who tries again.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal, ParamSpec, TypeVar

import anyio
from redis.exceptions import RedisError
from structlog.contextvars import bind_contextvars
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from tasks import crashing, measures
from tasks.deps import Deps
from tasks.dispatch import send_steps
from tasks.errors import (
    BlobsAwayError,
    CastlineError,
    DeadlineError,
    PermanentError,
    ProviderOpenError,
    RedisAwayError,
    ServiceAwayError,
    StaleLeaseError,
    TransientError,
)
from tasks.llm.pending import PendingRepliesError
from tasks.llm.scope import CallTally
from tasks.llm.tracing import traced
from tasks.schemas.calls import CallUsage
from tasks.schemas.ledger import Claim, StoredDocument
from tasks.schemas.steps import StepName
from tasks.store.answers import StepAnswers

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

Outcome = Literal["done", "known", "failed", "postponed", "elsewhere"]
Work = Callable[[CallTally], Awaitable[dict[str, Any]]]
Ending = Callable[[Claim, str, CallUsage], Awaitable[list[str]]]
AGAIN_AFTER_S = 10.0
STORE_EVERY_S = 0.3
STORE_WITHIN_S = 60.0


async def perform(
    deps: Deps,
    run_id: str,
    step: str,
    *,
    made_from: str,
    queue: str,
    work: Work,
    attempts: int = 0,
) -> Outcome:
    """Do a step unless it is done or somebody does it.

    `known`: its document was there already; `done` also if it was put aside and counts again.
    `failed`: for good, or in quarantine. `postponed`: due again later. `elsewhere`: another worker
    has it, or it is not its time; nothing is to be done here. `attempts` is how often it may fail
    for a passing reason (0: as the settings say).
    """
    bind_contextvars(run=run_id, step=step)
    claim = await deps.ledger.claim(run_id, step, made_from=made_from, queue=queue)
    if claim.verdict == "document":
        return "known"
    if claim.verdict == "kept":
        await send_released(deps, claim, list(claim.released))
        await go_on_in_batches(deps, claim)
        return "done"
    if claim.verdict == "settled":
        return "failed"
    if claim.verdict != "granted":
        return "elsewhere"
    return await fulfil(deps, claim, made_from=made_from, work=work, attempts=attempts)


async def fulfil(
    deps: Deps, claim: Claim, *, made_from: str, work: Work, attempts: int = 0
) -> Outcome:
    """Do a claimed step and settle it."""
    bind_contextvars(run=claim.run_id, step=claim.step)
    tally, begun_s = CallTally(resumed=claim.fence > 1), time.monotonic()
    try:
        with traced(
            claim.step, run_id=claim.run_id, attempt=claim.attempt, worker=deps.ledger.owner
        ):
            document = await within_lease(deps, claim, work, tally)
        crashing.here("after_reply")
        stored = StoredDocument(made_from=made_from, document=document, usage=tally.usage)
        released = await patiently(deps.ledger.store, claim, stored)
        crashing.here("after_document")
        note_done(stored, seconds=time.monotonic() - begun_s)
        await forget_answers(deps, claim, tally)
        await send_released(deps, claim, released)
        await go_on_in_batches(deps, claim)
        return "done"
    except StaleLeaseError:
        return "elsewhere"
    except PendingRepliesError as waiting:
        return await park(deps, claim, waiting)
    except PermanentError as error:
        return await give_up(deps, claim, error, tally, write=deps.ledger.fail)
    except TransientError as error:
        return await try_later(deps, claim, error, tally, attempts=attempts)
    except RedisError as error:
        away = RedisAwayError(f"Redis is away: {type(error).__name__}")
        return await try_later(deps, claim, away, tally, attempts=attempts)
    except Exception as error:  # a defect of ours: recorded, counted, and raised for Celery's log
        ours = CastlineError(f"internal: {type(error).__name__}")
        await try_later(deps, claim, ours, tally, attempts=attempts)
        raise


def note_done(stored: StoredDocument, *, seconds: float) -> None:
    """Count a step, with the seconds that it took in all, and leave its line in the log."""
    used = stored.usage
    measures.count("step.done")
    measures.observe("step", seconds)
    tokens = used.prompt_tokens + used.completion_tokens
    log.info(
        "done",
        extra={"calls": used.made, "tokens": tokens, "seconds": round(used.seconds, 3)},
    )


async def within_lease(deps: Deps, claim: Claim, work: Work, tally: CallTally) -> dict[str, Any]:
    """Work while the lease is renewed. Raises StaleLeaseError when it is lost meanwhile."""
    with anyio.CancelScope() as scope:
        deps.leases.hold(claim, scope)
        try:
            await deps.turns.mine()
            return await work(tally)
        finally:
            deps.leases.release(claim)
    raise StaleLeaseError(f"lease of {claim.run_id} {claim.step} was lost")


async def patiently(write: Callable[P, Awaitable[T]], *given: P.args, **named: P.kwargs) -> T:
    """Tell the ledger an outcome, through a Redis that is away for a while.

    Raises StaleLeaseError, and redis' own error when Redis stays away.
    """
    retrying = AsyncRetrying(
        retry=retry_if_exception_type((RedisError, OSError)),
        wait=wait_fixed(STORE_EVERY_S),
        stop=stop_after_delay(STORE_WITHIN_S),
        reraise=True,
    )
    return await retrying(write, *given, **named)


async def go_on_in_batches(deps: Deps, claim: Claim) -> None:
    """After a step of a run without chains (batches, discussions, analyses): send what it opened.

    Its replies are not needed any more. What a Redis that is away leaves undone, upkeep does.
    """
    request = await deps.request(claim.run_id)
    if not request.batch_api and request.kind not in ("discussion", "analysis"):
        return
    try:
        if request.batch_api:
            await deps.batch_calls.forget(claim.run_id, claim.step)
        opened = await deps.reader.opened_by(claim.run_id, claim.step)
    except (RedisError, OSError) as error:
        log.warning("%s %s opened steps: %s", claim.run_id, claim.step, type(error).__name__)
        return
    texts = [step for step in opened if not StepName.parse(step).is_picture]
    await send_released(deps, claim, texts)


async def forget_answers(deps: Deps, claim: Claim, tally: CallTally) -> None:
    """Drop what was kept of a step that has ended."""
    if tally.kept:
        await StepAnswers(deps.redis, claim.run_id, claim.step).forget()


async def give_up(
    deps: Deps, claim: Claim, error: CastlineError, tally: CallTally, *, write: Ending
) -> Outcome:
    """End a step without a document: failed for good, or in quarantine."""
    log.warning("failed: %s", error)
    measures.count("step.failed")
    try:
        released = await patiently(write, claim, said(error), tally.usage)
        await forget_answers(deps, claim, tally)
        await send_released(deps, claim, released)
        await go_on_in_batches(deps, claim)
    except StaleLeaseError:
        return "elsewhere"
    return "failed"


async def send_released(deps: Deps, claim: Claim, steps: list[str]) -> None:
    """Send the steps that a settled one released; what cannot be sent now is upkeep's."""
    if not steps:
        return
    request = await deps.request(claim.run_id)
    try:
        group = deps.settings.tweet_group
        await asyncio.to_thread(send_steps, claim.run_id, steps, request, group=group)
    except ServiceAwayError as error:
        log.warning("%s of %s are left to upkeep: %s", steps, claim.run_id, error)


async def try_later(
    deps: Deps, claim: Claim, error: CastlineError, tally: CallTally, *, attempts: int
) -> Outcome:
    """Make the step due again, or end it when its attempts are spent.

    A step that never reached its provider costs no attempt. One that failed as often as the
    settings allow goes into quarantine; one whose caller says how often has failed.
    """
    free = never_asked(error, tally)
    if free:
        log.warning("put off: %s", error)
    else:
        if claim.attempt >= (attempts or deps.settings.step_attempts):
            ending = deps.ledger.fail if attempts else deps.ledger.set_aside
            return await give_up(deps, claim, error, tally, write=ending)
        log.warning("tried again later: %s", error)
    wait_s = error.wait_s if isinstance(error, ProviderOpenError) else AGAIN_AFTER_S * claim.attempt
    try:
        await patiently(
            deps.ledger.postpone,
            claim,
            delay_s=wait_s,
            error=said(error),
            free=free,
            usage=tally.usage,
        )
    except StaleLeaseError:
        return "elsewhere"
    return "postponed"


def never_asked(error: CastlineError, tally: CallTally) -> bool:
    """Whether a step failed before its provider was asked anything."""
    if isinstance(error, RedisAwayError | BlobsAwayError):
        return not tally.made
    if isinstance(error, DeadlineError):
        return not error.attempts
    return isinstance(error, ProviderOpenError)


async def park(deps: Deps, claim: Claim, waiting: PendingRepliesError) -> Outcome:
    """Give the step back until the provider's batch has answered its calls."""
    provider = deps.provider.name if deps.provider else ""
    try:
        parked = await deps.batch_calls.park(
            claim, provider, waiting.calls, known_bytes=waiting.known_bytes
        )
    except StaleLeaseError:
        return "elsewhere"
    if not parked:
        await send_released(deps, claim, [claim.step])
    return "postponed"


def said(error: CastlineError) -> str:
    """What the user reads about an error."""
    return f"{error} ({error.hint})" if error.hint else str(error)
