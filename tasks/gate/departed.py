"""Takes the slots of a process that is gone out of every gate.

Its calls ended with its connections; a provider that has not noticed yet may count them for a
moment more. What they had reserved of a rate stays spent.
"""

from collections.abc import Iterable
from typing import Any

from tasks.gate import keys


async def free_slots(redis: Any, holder: str, runs: Iterable[str]) -> int:
    """Free the slots of a holder, in the caps of these runs as well; returns how many."""
    freed = 0
    for provider in await redis.smembers(keys.PROVIDERS):
        leases = await redis.zrange(keys.slots(provider), 0, -1)
        held = [lease for lease in leases if lease.startswith(f"{holder}:")]
        if not held:
            continue
        async with redis.pipeline(transaction=False) as pipe:
            pipe.zrem(keys.slots(provider), *held)
            for run_id in runs:
                pipe.zrem(keys.run_slots(provider, run_id), *held)
            pipe.publish(keys.bell(provider), "1")
            await pipe.execute()
        freed += len(held)
    return freed
