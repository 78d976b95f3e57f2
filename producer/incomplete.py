"""Runs whose submission was cut short: tells them apart, plans them again, removes them.

Everything that a plan is made from is in the ledger before any row (`tasks.store.submissions`), so
the plan is worked out anew; only pictures that never reached the blob store cannot be got back.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from producer.analyses import plan_analysis
from producer.discussions import plan_discussion
from producer.plan import plan_pictures, plan_run
from producer.standing import standing
from producer.submit import submit
from tasks.deps import Deps
from tasks.errors import BadInputError
from tasks.presence import has_ended
from tasks.routing import node_label
from tasks.schemas.ledger import RunLine, RunSnapshot, Submitter
from tasks.schemas.load import Load
from tasks.schemas.plan import Request, RunPlan
from tasks.schemas.status import RunStatus
from tasks.schemas.steps import StepName


def is_gone(submitter: Submitter, *, node: str) -> bool:
    """Whether a submitter was a process of this machine that has ended."""
    where, _, pid = submitter.owner.rpartition("/")
    return where == node_label(node) and pid.isdigit() and has_ended(int(pid))


def is_left(submitter: Submitter | None, *, now_ms: int, node: str) -> bool:
    """Whether nobody goes on with a submission: its lease ran out, or its process has ended."""
    return submitter is None or submitter.until_ms <= now_ms or is_gone(submitter, node=node)


async def lines_as_they_stand(deps: Deps, lines: Iterable[RunLine]) -> list[RunLine]:
    """Name those runs incomplete whose submission nobody goes on with."""
    now_ms, node = await deps.ledger.now_ms(), deps.settings.node
    return [
        replace(line, state="incomplete")
        if line.state == "submitting" and is_left(line.submitter, now_ms=now_ms, node=node)
        else line
        for line in lines
    ]


def standing_now(deps: Deps, snapshot: RunSnapshot) -> RunStatus:
    """Sum a snapshot up, incomplete if nobody goes on with its submission."""
    status = standing(snapshot)
    if is_incomplete(deps, snapshot):
        return status.model_copy(update={"state": "incomplete"})
    return status


def is_incomplete(deps: Deps, snapshot: RunSnapshot) -> bool:
    """Whether a run was never wholly submitted, and nobody is at it."""
    return snapshot.state == "submitting" and is_left(
        snapshot.submitter, now_ms=snapshot.now_ms, node=deps.settings.node
    )


def check_submitted(deps: Deps, snapshot: RunSnapshot) -> None:
    """Refuse to wait for a run that was never wholly submitted. Raises BadInputError."""
    if is_incomplete(deps, snapshot):
        run = snapshot.run_id
        raise BadInputError(
            f"{run} is incomplete: its submission was cut short, so nobody works on it",
            hint=f"`castline retry {run}` finishes it, `castline cancel {run}` removes it",
        )


async def resubmit(deps: Deps, snapshot: RunSnapshot) -> Load:
    """Submit an incomplete run to its end.

    Raises BadInputError when somebody alive is submitting it, or when its pictures are not in the
    blob store; and what `submit` raises.
    """
    await check_pictures(deps, snapshot.run_id, snapshot.request)
    plan = await planned_again(deps, snapshot)
    gone = snapshot.submitter
    dead = gone.owner if gone and is_gone(gone, node=deps.settings.node) else ""
    return await submit(deps, plan, gone=dead)


async def planned_again(deps: Deps, snapshot: RunSnapshot) -> RunPlan:
    """Plan a run from what the ledger has: its request, and the tweets that were given."""
    request = snapshot.request
    if request.discussion is not None:
        return plan_discussion(snapshot.run_id, request)
    if request.analysis is not None:
        return plan_analysis(snapshot.run_id, request)
    if request.kind != "images":
        return plan_run(snapshot.run_id, request)
    given: defaultdict[int, dict[int, dict[str, object]]] = defaultdict(dict)
    for step, stored in (await deps.reader.all_documents(snapshot.run_id)).items():
        name = StepName.parse(step)
        given[name.persona][name.slot] = stored.document
    tweets = tuple(
        tuple(document for _, document in sorted(given[persona].items()))
        for persona in range(len(request.sources))
    )
    return plan_pictures(snapshot.run_id, request, tweets)


async def check_pictures(deps: Deps, run_id: str, request: Request) -> None:
    """Check that every character's picture is in the blob store. Raises BadInputError."""
    for source in request.sources:
        if source.image_blob and not await asyncio.to_thread(deps.blobs.has, source.image_blob):
            raise BadInputError(
                f"{run_id} cannot be finished: the picture of {source.label!r} was not stored yet "
                "when its submission was cut short",
                hint=f"submit it anew; `castline cancel {run_id}` removes this one",
            )


async def remove(deps: Deps, run_id: str) -> bool:
    """Remove a run that was never wholly submitted, with its pictures; False for any other run.

    Raises BadInputError for an unknown run, ServiceAwayError when the blob store refuses.
    """
    request = await deps.reader.request(run_id)
    if await deps.ledger.submissions.discard(run_id) is None:
        return False
    for source in request.sources:
        if source.image_blob:
            await asyncio.to_thread(deps.blobs.remove, source.image_blob)
    return True
