"""A process of many askers who all want to know the same: `python -m tests.askers URL REDIS COUNT`.

It says `asking` once all of them have asked, and at the end prints what the calls cost, as JSON.
"""

import asyncio
import json
import sys

from tasks.connection import connect
from tasks.gate.gate import Gate
from tasks.gate.on_redis import RedisRules
from tasks.llm.cache.caching import CachingCompleter
from tasks.llm.cache.shared import RedisShelf
from tasks.llm.completer import Completer
from tasks.llm.providers import simulated_provider
from tasks.llm.scope import CallScope, CallTally
from tasks.schemas.calls import CallUsage, Message
from tasks.schemas.completion import ChatRequest

LEASE_S = 1.0
QUESTION = ChatRequest(
    messages=(Message(role="user", content="How many keepers does a lighthouse need?"),),
    model="castline-simulated",
    temperature=0.0,
    max_tokens=100,
)


async def main(url: str, redis_url: str, count: int) -> None:
    """Ask `count` times at once."""
    redis = connect(redis_url)
    provider = simulated_provider(url, slots=1)
    gate = Gate(RedisRules(redis), {provider.name: provider.limits}, lease_s=LEASE_S)
    completer = CachingCompleter(Completer(provider, gate), RedisShelf(redis), lease_s=LEASE_S)
    tallies = [CallTally() for _ in range(count)]
    asking = [
        asyncio.ensure_future(
            completer.complete(QUESTION, key=str(n), scope=CallScope(key="", tally=tally))
        )
        for n, tally in enumerate(tallies)
    ]
    await asyncio.sleep(0)
    sys.stdout.write("asking\n")
    sys.stdout.flush()
    replies = await asyncio.gather(*asking)
    total = sum((tally.usage for tally in tallies), CallUsage())
    texts = sorted({reply.text for reply in replies})
    sys.stdout.write(json.dumps({"texts": texts, "answers": len(replies), **total.model_dump()}))
    await completer.close()
    await gate.close()
    await redis.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
