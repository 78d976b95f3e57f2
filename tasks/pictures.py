"""The task that draws: once rung, it draws everything that is assigned to its GPU, in batches.

The message is a doorbell; what to draw comes from the ledger, claimed picture by picture. While one
batch is drawn the next is claimed and the last one stored, so the GPU does not wait for Redis.
"""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from celery import Task
from structlog.contextvars import bind_contextvars

from tasks.app import app
from tasks.deps import Deps
from tasks.dispatch import send_picture
from tasks.errors import PermanentError
from tasks.execution import Outcome, fulfil
from tasks.images.faults import GpuLostError, PictureMemoryError
from tasks.images.renderer import Renderer
from tasks.llm.scope import CallTally
from tasks.origins import picture_origin
from tasks.picture_prompts import picture_request
from tasks.runtime import Gpu, runtime
from tasks.schemas.ledger import Claim
from tasks.schemas.pictures import PictureRequest, RenderedPicture
from tasks.store import keys
from tasks.store.ledger import BELL_MS

log = logging.getLogger(__name__)

LONGEST_S = 120.0
LOOK_AGAIN_S = 0.1
Drawn = RenderedPicture | PermanentError


@dataclass(frozen=True)
class Waiting:
    """A claimed picture and what is to be drawn."""

    claim: Claim
    picture: PictureRequest
    renderer: str
    made_from: str


@dataclass(frozen=True)
class Shift:
    """How long one task of a GPU worker may claim further pictures."""

    deps: Deps
    queue: str
    until: float

    async def over(self) -> bool:
        """Whether to stop claiming: it took long, or the worker was told to end."""
        return time.monotonic() >= self.until or not await self.live()

    async def live(self) -> bool:
        """Whether pictures may be placed on this queue: its worker's heartbeat says so."""
        live_until = await self.deps.redis.zscore(keys.GPUS, self.queue)
        return live_until is not None and live_until > await self.deps.ledger.now_ms()


@app.task(name="picture.render", bind=True)
def render_picture(self: Task, run_id: str, step: str) -> None:
    """Draw one picture, then all others that are assigned to this GPU."""
    here = runtime()
    queue = self.request.delivery_info["routing_key"]
    lost = here.run(drain, here.gpu, run_id, step, queue)
    if lost:
        log.error("the GPU is lost or full; this process ends and a new one takes over")
        os.kill(os.getpid(), signal.SIGKILL)


async def drain(deps: Deps, gpu: Gpu, run_id: str, step: str, queue: str) -> bool:
    """Draw until nothing is assigned to this queue; True when the GPU is lost.

    It stops early, ringing its own bell, when it has drawn for long: Celery's time limits watch it.
    A worker that was told to end draws what it has claimed; upkeep gives the rest to others.
    """
    shift = Shift(deps, queue, time.monotonic() + LONGEST_S)
    first = await claim_picture(deps, run_id, step, queue)
    batch = await fill_batch(deps, queue, [first] if first else [])
    while True:
        lost = await draw_batches(deps, gpu, shift, batch)
        await deps.redis.delete(keys.gpu_bell(queue))  # from here on, placing rings again
        if lost or await shift.over():
            break
        batch = await fill_batch(deps, queue, [])  # what was placed before the bell fell silent
        if not batch:
            return False
    if await shift.live() and await deps.redis.zcard(keys.gpu_steps(queue)):
        await asyncio.to_thread(send_picture, run_id, step, queue)
    return lost


async def draw_batches(deps: Deps, gpu: Gpu, shift: Shift, batch: list[Waiting]) -> bool:
    """Draw this batch and those after it; the next one queues behind the device while it draws.

    Returns whether the GPU is lost; pictures that were claimed and not drawn are given back then.
    """
    storing: list[asyncio.Future[None]] = []
    drawing = asyncio.ensure_future(draw(gpu, batch)) if batch else None
    lost = False
    while batch and drawing and not lost:
        storing.append(asyncio.ensure_future(settle_batch(deps, batch, drawing)))
        await deps.redis.set(keys.gpu_bell(shift.queue), "1", px=BELL_MS)
        batch = await claim_while(deps, shift, drawing)
        following = asyncio.ensure_future(draw(gpu, batch)) if batch else None
        await asyncio.wait([drawing])
        lost = isinstance(drawing.exception(), GpuLostError | PictureMemoryError)
        if lost and following:
            following.cancel()
        drawing = following
    await asyncio.gather(*storing)
    for waiting in batch:
        deps.leases.release(waiting.claim)
        await deps.ledger.postpone(waiting.claim, delay_s=0, free=True)
    return lost


async def claim_while(
    deps: Deps, shift: Shift, drawing: "asyncio.Future[list[Drawn]]"
) -> list[Waiting]:
    """Claim the next batch while one is drawn: until it is full, or the device is free."""
    coming: list[Waiting] = []
    while not drawing.done() and len(coming) < deps.settings.picture_batch:
        if not await shift.over():
            await fill_batch(deps, shift.queue, coming)
        await asyncio.wait([drawing], timeout=LOOK_AGAIN_S)
    return coming


async def settle_batch(
    deps: Deps, batch: list[Waiting], drawing: "asyncio.Future[list[Drawn]]"
) -> None:
    """Store every picture of a batch; each settles for itself."""
    bind_contextvars(run=batch[0].claim.run_id, step=[waiting.claim.step for waiting in batch])
    outcomes = await asyncio.gather(
        *(settle_picture(deps, waiting, drawing, i) for i, waiting in enumerate(batch)),
        return_exceptions=True,
    )
    log.info("drew %d pictures: %s", len(batch), ", ".join(str(o) for o in outcomes))


async def claim_picture(deps: Deps, run_id: str, step: str, queue: str) -> Waiting | None:
    """Claim one picture with its request; None when it is not ours to draw."""
    request = await deps.request(run_id)
    picture = await picture_request(deps, run_id, step, request)
    if picture is None:
        return None
    made_from = picture_origin(picture, renderer=request.renderer or deps.settings.renderer)
    claim = await deps.ledger.claim(run_id, step, queue=queue)
    return (
        Waiting(claim, picture, request.renderer, made_from) if claim.verdict == "granted" else None
    )


async def fill_batch(deps: Deps, queue: str, batch: list[Waiting]) -> list[Waiting]:
    """Claim the oldest pictures of this queue until a batch of one run is full."""
    most = deps.settings.picture_batch
    if len(batch) >= most:
        return batch
    members = await deps.redis.zrange(keys.gpu_steps(queue), 0, 4 * most)
    for member in members:
        if len(batch) >= most:
            break
        run_id, step = member.split(" ", 1)
        other_run = bool(batch) and batch[0].claim.run_id != run_id
        if other_run or deps.leases.holds(run_id, step):
            continue
        waiting = await claim_picture(deps, run_id, step, "")
        if waiting is not None:
            batch.append(waiting)
    return batch


async def draw(gpu: Gpu, batch: Sequence[Waiting]) -> list[Drawn]:
    """Draw a batch on the thread that owns the device; one bad picture spoils only itself.

    Raises PictureMemoryError or GpuLostError when the process must be replaced.
    """

    def on_device() -> list[Drawn]:
        renderer = gpu.renderer(batch[0].renderer)
        try:
            return list(renderer.render([waiting.picture for waiting in batch]))
        except PermanentError:
            return [draw_one(renderer, waiting.picture) for waiting in batch]

    return await asyncio.get_running_loop().run_in_executor(gpu.thread, on_device)


def draw_one(renderer: Renderer, picture: PictureRequest) -> Drawn:
    """Draw a single picture; a refusal of this picture is its result."""
    try:
        return renderer.render([picture])[0]
    except PermanentError as error:
        return error


async def settle_picture(
    deps: Deps, waiting: Waiting, drawing: "asyncio.Future[list[Drawn]]", index: int
) -> Outcome:
    """Store one picture of the batch, its bytes before its document."""

    async def work(_: CallTally) -> dict[str, Any]:
        drawn = (await asyncio.shield(drawing))[index]
        if isinstance(drawn, PermanentError):
            raise drawn
        blob = f"pictures/{waiting.claim.run_id}/{waiting.claim.step}.png"
        await deps.blobs.put_async(blob, drawn.png)
        return {"blob": blob, "model": drawn.model, "seed": drawn.seed,
                "width": drawn.width, "height": drawn.height}  # fmt: skip

    return await fulfil(deps, waiting.claim, made_from=waiting.made_from, work=work)
