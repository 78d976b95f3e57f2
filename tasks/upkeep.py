"""Heals what messages lost: sends what is due again, moves pictures to GPUs that are there.

Every decision is the ledger's; a sweep that runs twice, or on two machines, does no harm.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from tasks import canvas, dispatch
from tasks.deps import Deps
from tasks.errors import BadInputError
from tasks.routing import LLM_QUEUES
from tasks.schemas.plan import Request
from tasks.schemas.steps import StepName
from tasks.store import bad_messages, keys
from tasks.traces import end_traces

log = logging.getLogger(__name__)

STEPS_PER_SWEEP = 500
IDLE_MOVES_FROM = 2


@dataclass(frozen=True, kw_only=True)
class SweepReport:
    """What one sweep did."""

    sent: int = 0
    moved: int = 0
    forgotten: int = 0


async def sweep(deps: Deps) -> SweepReport:
    """Do one round: due steps, GPU queues, traces of finished runs, what has expired."""
    sent = await resend_due(deps)
    moved = await rescue_lost_gpus(deps) + await feed_idle_gpus(deps)
    await end_traces(deps)
    await tend_sessions(deps)
    return SweepReport(sent=sent, moved=moved, forgotten=await forget_expired(deps))


async def resend_due(deps: Deps) -> int:
    """Send the messages of due steps whose message is lost; returns how many."""
    now = await deps.ledger.now_ms()
    lengths = await queue_lengths(deps)
    due = await deps.redis.zrangebyscore(keys.DUE, "-inf", now, start=0, num=STEPS_PER_SWEEP)
    passed = await deps.ledger.passed_over(lengths, most=STEPS_PER_SWEEP)
    sent = 0
    for member in dict.fromkeys([*passed, *due]):
        run_id, step = member.split(" ", 1)
        try:
            request = await deps.request(run_id)
        except BadInputError:  # the run expired; nothing of it is left to do
            for where in (keys.DUE, *map(keys.queued, LLM_QUEUES)):
                await deps.redis.zrem(where, member)
            continue
        if StepName.parse(step).is_picture:
            sent += await resend_picture(deps, run_id, step)
        else:
            sent += await resend_text(deps, run_id, step, request, lengths)
    return sent


async def queue_lengths(deps: Deps) -> dict[str, int]:
    """Count what waits in the queues of model calls."""
    async with deps.redis.pipeline(transaction=False) as pipe:
        for queue in LLM_QUEUES:
            pipe.llen(queue)
        return dict(zip(LLM_QUEUES, await pipe.execute(), strict=True))


async def resend_text(
    deps: Deps, run_id: str, step: str, request: Request, lengths: Mapping[str, int]
) -> int:
    """Send one step's message again if it is lost."""
    queue = canvas.queue_for(StepName.parse(step), request.priority)
    if await deps.ledger.overdue(run_id, step, queue=queue, length=lengths[queue]) != "send":
        return 0
    log.info("%s %s is sent again", run_id, step, extra={"run": run_id, "step": step})
    await asyncio.to_thread(dispatch.send_step, run_id, step, request)
    return 1


async def resend_picture(deps: Deps, run_id: str, step: str) -> int:
    """Assign a picture anew when it has no live GPU, and ring a GPU that forgot its bell."""
    queue = await deps.redis.hget(keys.RunKeys(run_id).queue, step)
    live = await deps.redis.zscore(keys.GPUS, queue) if queue else None
    busy = live is not None and live > await deps.ledger.now_ms() and await is_busy(deps, queue)
    if await deps.ledger.overdue(run_id, step, length=int(busy)) != "send":
        return 0
    placed = await dispatch.send_placed(deps.ledger, run_id, step)
    if placed and not await is_busy(deps, placed):
        told = {"run": run_id, "step": step}
        log.info("%s is rung again for %s %s", placed, run_id, step, extra=told)
        await asyncio.to_thread(dispatch.send_picture, run_id, step, placed)
    return int(bool(placed))


async def is_busy(deps: Deps, queue: str) -> bool:
    """Whether a GPU has a message waiting, or draws: one of its oldest pictures is leased."""
    if await deps.redis.llen(queue):
        return True
    now = await deps.ledger.now_ms()
    oldest = await deps.redis.zrange(keys.gpu_steps(queue), 0, 2 * deps.settings.picture_batch)
    for member in oldest:
        run_id, step = member.split(" ", 1)
        lease = await deps.redis.hget(keys.RunKeys(run_id).lease, step)
        if lease and int(lease.split(" ", 2)[1]) > now:
            return True
    return False


async def gpu_backlogs(deps: Deps) -> tuple[dict[str, list[str]], set[str]]:
    """Read each GPU queue's assigned steps, oldest first, and which queues are live."""
    now = await deps.ledger.now_ms()
    known = await deps.redis.zrange(keys.GPUS, 0, -1)
    live = set(await deps.redis.zrangebyscore(keys.GPUS, now, "+inf"))
    backlogs = {q: await deps.redis.zrange(keys.gpu_steps(q), 0, -1) for q in known}
    return backlogs, live


async def rescue_lost_gpus(deps: Deps) -> int:
    """Move the work of GPU queues whose worker is gone; returns how many pictures moved."""
    backlogs, live = await gpu_backlogs(deps)
    if not live:
        return 0
    moved = 0
    for queue, members in backlogs.items():
        if queue not in live:
            moved += await move(deps, members, "")
            await deps.redis.delete(queue)  # its messages are doubles of what was just sent
            await deps.redis.zrem(keys.GPUS, queue)
    return moved


async def feed_idle_gpus(deps: Deps) -> int:
    """Give each idle GPU the younger half of the longest queue; returns how many pictures moved."""
    backlogs, live = await gpu_backlogs(deps)
    mine = {queue: members for queue, members in backlogs.items() if queue in live}
    moved = 0
    for idle in [queue for queue, members in mine.items() if not members]:
        longest = max(mine, key=lambda queue: len(mine[queue]))
        waiting = mine[longest]
        if len(waiting) < IDLE_MOVES_FROM:
            break
        taken = waiting[(len(waiting) + 1) // 2 :]
        moved += await move(deps, taken, idle)
        mine[longest] = waiting[: len(waiting) - len(taken)]
        mine[idle] = taken
    return moved


async def move(deps: Deps, members: list[str], queue: str) -> int:
    """Place these pictures anew (on `queue`, or wherever is best) and send their messages."""
    moved = 0
    for member in members:
        run_id, step = member.split(" ", 1)
        moved += bool(await dispatch.send_placed(deps.ledger, run_id, step, queue=queue))
    if moved:
        log.info("%d pictures moved to %s", moved, queue or "live GPUs")
    return moved


async def forget_expired(deps: Deps) -> int:
    """Drop runs from the list whose keys have expired; returns how many."""
    horizon = await deps.ledger.now_ms() - deps.settings.retention_s * 1000
    old = await deps.redis.zrangebyscore(keys.RUNS, "-inf", horizon, start=0, num=1000)
    gone = [run_id for run_id in old if not await deps.redis.exists(keys.RunKeys(run_id).run)]
    if gone:
        await deps.redis.zrem(keys.RUNS, *gone)
    await deps.redis.zremrangebyscore(keys.QUARANTINED, "-inf", horizon)
    return len(gone) + await bad_messages.forget_older(deps.redis, horizon)


async def tend_sessions(deps: Deps) -> None:
    """Let in who waits longest, keep the slots of discussions that go on, free the others.

    A session that is still being written holds its slot until its lease ends. Raises
    ServiceAwayError when Redis is away.
    """
    for run_id in await deps.sessions.promote():
        await let_in(deps, run_id)
    for run_id in await deps.sessions.active():
        state = await deps.redis.hget(keys.RunKeys(run_id).run, "state")
        if state == "waiting":  # who promoted it died
            await let_in(deps, run_id)
        if state in ("waiting", "running"):
            await deps.sessions.hold(run_id)
        elif state == "finished":
            await deps.sessions.leave(run_id)


async def let_in(deps: Deps, run_id: str) -> None:
    """Open a session that has a slot now; one that is not written yet is opened once it is."""
    try:
        request = await deps.request(run_id)
    except BadInputError:  # its submitter is about to write it, or has died
        return
    ready = await deps.ledger.submissions.open_waiting(run_id)
    await asyncio.to_thread(dispatch.send_steps, run_id, ready, request)
