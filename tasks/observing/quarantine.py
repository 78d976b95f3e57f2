"""How much is in quarantine: messages that are none of ours, steps that nobody could end."""

from tasks.deps import Deps
from tasks.schemas.quarantine import QuarantineCounts
from tasks.store import keys


async def counted(deps: Deps) -> QuarantineCounts:
    """Count what is there now."""
    async with deps.redis.pipeline(transaction=False) as pipe:
        pipe.hlen(keys.BAD_MESSAGES)
        pipe.zcard(keys.QUARANTINED)
        pipe.hget(keys.BAD_MESSAGE_COUNTS, "dropped")
        messages, steps, dropped = await pipe.execute()
    return QuarantineCounts(messages=messages, steps=steps, dropped_messages=int(dropped or 0))
