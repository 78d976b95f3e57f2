"""How long the queues are: what waits in each, and what is being worked on."""

from tasks.deps import Deps
from tasks.routing import LLM_QUEUES
from tasks.schemas.overview import QueueLine
from tasks.schemas.services import ServiceLine
from tasks.store import keys


async def queue_lines(deps: Deps, services: list[ServiceLine]) -> list[QueueLine]:
    """Count what waits in each queue and what runs from it."""
    served = {queue for service in services for queue in service.queues}
    known = set(await deps.redis.zrange(keys.GPUS, 0, -1))
    names = [*LLM_QUEUES, *sorted(q for q in served | known if q.startswith("gpu."))]
    running = await running_by_queue(deps)
    return [
        await gpu_line(deps, name)
        if name.startswith("gpu.")
        else QueueLine(
            name=name, waiting=int(await deps.redis.llen(name)), running=running.get(name, 0)
        )
        for name in names
    ]


async def gpu_line(deps: Deps, queue: str) -> QueueLine:
    """Count the pictures that are assigned to a GPU; its messages are only bells."""
    assigned = int(await deps.redis.zcard(keys.gpu_steps(queue)))
    oldest = await deps.redis.zrange(keys.gpu_steps(queue), 0, 4 * deps.settings.picture_batch)
    now = await deps.ledger.now_ms()
    drawn = 0
    for member in oldest:
        run_id, step = member.split(" ", 1)
        lease = await deps.redis.hget(keys.RunKeys(run_id).lease, step)
        drawn += bool(lease) and int(lease.split(" ", 2)[1]) > now
    return QueueLine(name=queue, waiting=assigned - drawn, running=drawn)


async def running_by_queue(deps: Deps) -> dict[str, int]:
    """Count the LLM workers' unacknowledged messages by the queue they came from."""
    counts: dict[str, int] = {}
    async for _, text in deps.redis.hscan_iter("castline.unacked.llm", count=500):
        queue = str(text).rsplit('"', 2)[-2]
        counts[queue] = counts.get(queue, 0) + 1
    return counts
