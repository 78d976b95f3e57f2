"""Takes over at once from LLM workers of this machine that are provably gone.

The proof is a process id that nobody has any more, seen from the same process ids of the same
running kernel. Whoever is frozen, cut off or on another machine keeps what it holds until its
leases end.
"""

import asyncio
import json
import logging

from redis.exceptions import RedisError

from tasks.deps import Deps
from tasks.gate.departed import free_slots
from tasks.presence import has_ended, pid_space
from tasks.schemas.services import ServiceLine
from tasks.store import keys
from tasks.store.departed import end_leases

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0


def is_gone(line: ServiceLine, space: str) -> bool:
    """Whether a service's process has provably ended."""
    return bool(space) and line.pid_space == space and has_ended(line.pid)


async def take_over_for_ever(deps: Deps) -> None:
    """Look once a second until cancelled; a Redis that is away is waited for."""
    while True:
        try:
            await take_over(deps, pid_space())
        except (RedisError, OSError) as error:
            log.warning("no look at departed workers: %s", type(error).__name__)
        await asyncio.sleep(LOOK_EVERY_S)


async def take_over(deps: Deps, space: str) -> None:
    """Free what workers that are gone still hold: slots at the gate, leases of steps."""
    lines = [ServiceLine(**json.loads(text)) for text in await deps.redis.hvals(keys.SERVICES)]
    for line in lines:
        if line.holder and is_gone(line, space):
            ended = await end_leases(deps.ledger, line.holder)
            freed = await free_slots(deps.redis, line.holder, ended)
            await deps.redis.hdel(keys.SERVICES, line.name)
            log.info("%s is gone: %d leases, %d slots", line.name, sum(ended.values()), freed)
