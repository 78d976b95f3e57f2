"""Submits a run: workers are there, a place in the queue, rows in the ledger, then the messages."""

import asyncio
import secrets
import time
from collections.abc import Iterable

from producer.admission import admit
from producer.plan import window
from tasks import dispatch
from tasks.deps import Deps
from tasks.errors import BadInputError, NoWorkerError, RedisFullError
from tasks.observing.services import live_services
from tasks.routing import LLM_QUEUES
from tasks.schemas.load import Load
from tasks.schemas.plan import Request, RunPlan
from tasks.schemas.services import ServiceLine
from tasks.schemas.steps import StepName
from tasks.store import room
from tasks.traces import open_trace

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
TAIL = 8  # with four, two of a thousand runs that were asked for within seconds had one id


def new_run_id() -> str:
    """Make a run id that sorts by time: `20261123-174500-k3f9x2ma`."""
    tail = "".join(secrets.choice(ALPHABET) for _ in range(TAIL))
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{tail}"


Uploads = Iterable[tuple[str, bytes]]


async def submit(deps: Deps, plan: RunPlan, *, uploads: Uploads = (), gone: str = "") -> Load:
    """Write the plan, open the run and send its first messages; upkeep sends what we could not.

    `uploads` are the blobs that the request names. Killed before the run is opened, it leaves a run
    that `retry` finishes: `gone` is then the submitter that is known to be dead. Returns the load
    that the run meets. Raises NoWorkerError when nobody would do the work, OverloadedError when too
    much is queued and RedisFullError when the run has no room (nothing is written then),
    ServiceAwayError when Redis is away; before `accept` nothing is due.
    """
    await check_room(deps, steps=len(plan.steps))
    try:
        await check_workers(deps, plan.request)
    except NoWorkerError:
        await check_heartbeats_fit(deps)
        raise
    load = await admit(deps, plan)
    slots = deps.settings.max_concurrent
    submissions = deps.ledger.submissions
    await submissions.begin(plan, window=window(plan.request, slots=slots), gone=gone)
    for key, data in uploads:
        await deps.blobs.put_async(key, data)
        await submissions.renew(plan.run_id)
    await submissions.write_rows(plan)
    await open_trace(deps, plan.run_id, plan.request, steps=len(plan.steps))
    ready = await submissions.accept(plan.run_id)
    await send_ready(deps, plan.run_id, ready, plan.request)
    return load


async def send_ready(deps: Deps, run_id: str, steps: Iterable[str], request: Request) -> None:
    """Send the messages of these due steps, pictures to the queues they are placed on."""
    ready = list(steps)
    texts = [step for step in ready if not StepName.parse(step).is_picture]
    await asyncio.to_thread(dispatch.send_steps, run_id, texts, request)
    for step in ready:
        if StepName.parse(step).is_picture:
            await dispatch.send_placed(deps.ledger, run_id, step)


async def check_room(deps: Deps, *, steps: int) -> None:
    """Check that a run of so many steps fits into Redis. Raises RedisFullError."""
    found = await room.look(deps.redis)
    if found.share_with(steps) > room.FULL_SHARE:
        raise RedisFullError(
            f"Redis has no room for this run's {steps:,} steps: {found.said}",
            hint="raise its maxmemory, or wait until older runs expire (CASTLINE_RETENTION_S)",
        )


async def check_heartbeats_fit(deps: Deps) -> None:
    """Say that Redis is full where that may be why no worker is heard. Raises RedisFullError."""
    found = await room.look(deps.redis)
    if found.share > room.WARN_SHARE:
        raise RedisFullError(
            f"Redis has no room, so workers may not be heard: {found.said}",
            hint="raise its maxmemory, or wait until older runs expire (CASTLINE_RETENTION_S)",
        )


async def check_workers(deps: Deps, request: Request) -> None:
    """Check that somebody serves every queue that the run needs.

    Raises NoWorkerError, and BadInputError for batch mode with a provider that has none.
    """
    only_pictures = request.kind == "images"
    services, served = await check_served(
        deps, texts=not only_pictures, pictures=request.images or only_pictures
    )
    serving = [queue for queue in served if queue.startswith("gpu.")]
    if request.gpus > len(serving):
        raise NoWorkerError(
            f"{request.gpus} image workers are asked for and {len(serving)} are running",
            hint=f"start more: `castline up --gpus {request.gpus}` or `castline worker gpu`",
        )
    if any(source.image_blob for source in request.sources):
        check_vision(services)
    if request.batch_api:
        check_batch_mode(services)


async def check_served(
    deps: Deps, *, texts: bool, pictures: bool
) -> tuple[list[ServiceLine], set[str]]:
    """Check that somebody writes texts, or draws pictures, where there are any.

    Returns the live services and the queues that they serve. Raises NoWorkerError.
    """
    services = await live_services(deps)
    served = {q for service in services if service.state == "running" for q in service.queues}
    if texts and not served.intersection(LLM_QUEUES):
        raise NoWorkerError(
            "no LLM worker is running, so nobody would write",
            hint="start one with `castline worker llm`, or everything with `castline up --detach`",
        )
    if pictures and not any(queue.startswith("gpu.") for queue in served):
        raise NoWorkerError(
            "no image worker is running, so nobody would draw",
            hint="start one with `castline worker gpu --device cpu`, or run with --no-images",
        )
    return services, served


def check_vision(services: list[ServiceLine]) -> None:
    """Check that a live worker's provider can look at pictures. Raises NoWorkerError."""
    if not any(service.vision for service in services):
        raise NoWorkerError(
            "no worker's provider has a vision model, so nobody can look at the picture",
            hint="set CASTLINE_LLM_VISION_MODEL for the LLM workers, "
            "or describe the character with --text",
        )


def check_batch_mode(services: list[ServiceLine]) -> None:
    """Check that every live worker's provider has batch mode. Raises BadInputError."""
    lacking = sorted({s.provider for s in services if s.provider and not s.batch_api})
    if lacking:
        raise BadInputError(
            f"provider {lacking[0]!r} has no batch mode",
            hint="run without --batch-api, or give the LLM workers another provider",
        )
