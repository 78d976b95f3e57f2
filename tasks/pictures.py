"""The task that draws: it takes the pictures that wait for this GPU along in one batch.

The message is a doorbell for one picture; the others come from the ledger, claimed one by one, and
their own messages later find them done.
"""

import asyncio
import hashlib
import logging
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from celery import Task

from tasks.app import app
from tasks.deps import Deps
from tasks.execution import Outcome, fulfil
from tasks.images.faults import GpuLostError
from tasks.llm.scope import CallTally
from tasks.picture_prompts import picture_request
from tasks.runtime import Gpu, runtime
from tasks.schemas.ledger import Claim
from tasks.schemas.pictures import PictureRequest, RenderedPicture
from tasks.store import keys

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Waiting:
    """A claimed picture and what is to be drawn."""

    claim: Claim
    picture: PictureRequest
    made_from: str


@app.task(name="picture.render", bind=True)
def render_picture(self: Task, run_id: str, step: str) -> None:
    """Draw one picture, and with it others that wait for this GPU and fit into its batch."""
    here = runtime()
    queue = self.request.delivery_info["routing_key"]
    lost = here.run(draw_batch, here.gpu, run_id, step, queue)
    if lost:
        log.error("the GPU is lost; this process ends and a new one takes over")
        os.kill(os.getpid(), signal.SIGKILL)


async def draw_batch(deps: Deps, gpu: Gpu, run_id: str, step: str, queue: str) -> bool:
    """Claim, draw and store a batch that begins with `step`; True when the GPU is lost."""
    first = await claim_picture(deps, run_id, step, queue)
    if first is None:
        return False
    request = await deps.request(run_id)
    batch = [first, *await more_pictures(deps, first, queue)]
    drawing = asyncio.ensure_future(draw(gpu, request.renderer, batch))
    outcomes = await asyncio.gather(
        *(settle_picture(deps, waiting, drawing, i) for i, waiting in enumerate(batch)),
        return_exceptions=True,
    )
    log.info("drew %d pictures: %s", len(batch), [str(o) for o in outcomes])
    error = drawing.exception() if drawing.done() and not drawing.cancelled() else None
    return isinstance(error, GpuLostError)


async def claim_picture(deps: Deps, run_id: str, step: str, queue: str) -> Waiting | None:
    """Claim one picture with its request; None when it is not ours to draw."""
    request = await deps.request(run_id)
    picture = await picture_request(deps, run_id, step, request)
    if picture is None:
        return None
    digest = hashlib.sha256(picture.model_dump_json().encode())
    digest.update((request.renderer or deps.settings.renderer).encode())
    made_from = digest.hexdigest()[:32]
    claim = await deps.ledger.claim(run_id, step, made_from=made_from, queue=queue)
    return Waiting(claim, picture, made_from) if claim.verdict == "granted" else None


async def more_pictures(deps: Deps, first: Waiting, queue: str) -> list[Waiting]:
    """Claim further pictures of the same run and size that are assigned to this queue."""
    room = deps.settings.picture_batch - 1
    run_id, own = first.claim.run_id, first.claim.step
    members = await deps.redis.zrange(keys.gpu_steps(queue), 0, room * 2) if room else []
    found: list[Waiting] = []
    for member in members:
        its_run, step = member.split(" ", 1)
        if its_run != run_id or step == own or len(found) >= room:
            continue
        waiting = await claim_picture(deps, run_id, step, "")
        if waiting is not None:
            found.append(waiting)
    return found


async def draw(gpu: Gpu, spec: str, batch: Sequence[Waiting]) -> list[RenderedPicture]:
    """Draw a batch on the thread that owns the device."""

    def on_device() -> list[RenderedPicture]:
        return gpu.renderer(spec).render([waiting.picture for waiting in batch])

    return await asyncio.get_running_loop().run_in_executor(gpu.thread, on_device)


async def settle_picture(
    deps: Deps, waiting: Waiting, drawing: "asyncio.Future[list[RenderedPicture]]", index: int
) -> Outcome:
    """Store one picture of the batch, its bytes before its document."""

    async def work(_: CallTally) -> dict[str, Any]:
        drawn = (await asyncio.shield(drawing))[index]
        blob = f"pictures/{waiting.claim.run_id}/{waiting.claim.step}.png"
        await deps.blobs.put_async(blob, drawn.png)
        return {"blob": blob, "model": drawn.model, "seed": drawn.seed,
                "width": drawn.width, "height": drawn.height}  # fmt: skip

    return await fulfil(deps, waiting.claim, made_from=waiting.made_from, work=work)
