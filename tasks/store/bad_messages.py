"""Keeps messages that are none of ours, raw, until somebody looks; bounded, and counted.

Written by a worker's channel, which is synchronous; read by the command line.
"""

import base64
import hashlib
import time
from typing import Any

from tasks.connection import TextRedis
from tasks.schemas.quarantine import BadMessage
from tasks.store import keys

MOST_KEPT = 1000
MOST_BYTES = 256 * 1024
KEPT_OF_LARGER_BYTES = 4096


def keep(redis: Any, queue: str, raw: bytes, reason: str) -> str:
    """Keep a message; returns its id. `redis` is a synchronous client; raises redis' errors.

    The same message again is one entry. Of a message above 256 KiB only the beginning is kept; when
    there are more than 1,000, the oldest goes and is counted.
    """
    at_ms = int(time.time() * 1000)  # for the list's eyes only
    cut = len(raw) > MOST_BYTES
    message = BadMessage(
        id=hashlib.sha256(queue.encode() + b"\0" + raw).hexdigest()[:10],
        queue=queue,
        at_ms=at_ms,
        reason=reason,
        size_bytes=len(raw),
        raw=base64.b64encode(raw[:KEPT_OF_LARGER_BYTES] if cut else raw).decode(),
        cut=cut,
    )
    with redis.pipeline(transaction=True) as pipe:
        pipe.hset(keys.BAD_MESSAGES, message.id, message.model_dump_json())
        pipe.zadd(keys.BAD_MESSAGE_TIMES, {message.id: at_ms})
        pipe.hincrby(keys.BAD_MESSAGE_COUNTS, "quarantined", 1)
        pipe.zrange(keys.BAD_MESSAGE_TIMES, 0, -MOST_KEPT - 1)
        *_, too_many = pipe.execute()
        if too_many:
            pipe.hdel(keys.BAD_MESSAGES, *too_many)
            pipe.zrem(keys.BAD_MESSAGE_TIMES, *too_many)
            pipe.hincrby(keys.BAD_MESSAGE_COUNTS, "dropped", len(too_many))
            pipe.execute()
    return message.id


async def every(redis: TextRedis) -> list[BadMessage]:
    """List all, newest first."""
    texts = await redis.hvals(keys.BAD_MESSAGES)
    found = [BadMessage.model_validate_json(text) for text in texts]
    return sorted(found, key=lambda message: message.at_ms, reverse=True)


async def take(redis: TextRedis, message: BadMessage, *, send: bool) -> None:
    """Take a message out; with `send` it goes back to its queue, as it was, in the same moment."""
    async with redis.pipeline(transaction=True) as pipe:
        if send:
            pipe.lpush(message.queue, base64.b64decode(message.raw))
        pipe.hdel(keys.BAD_MESSAGES, message.id)
        pipe.zrem(keys.BAD_MESSAGE_TIMES, message.id)
        await pipe.execute()


async def forget_older(redis: TextRedis, horizon_ms: int) -> int:
    """Forget what is older; returns how many."""
    old = await redis.zrangebyscore(keys.BAD_MESSAGE_TIMES, "-inf", horizon_ms)
    if old:
        async with redis.pipeline(transaction=True) as pipe:
            pipe.hdel(keys.BAD_MESSAGES, *old)
            pipe.zrem(keys.BAD_MESSAGE_TIMES, *old)
            await pipe.execute()
    return len(old)
