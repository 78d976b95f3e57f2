"""asyncio and aiohttp, no queue: the practical limit. See benchmarks/path.py for the variables."""

import asyncio
import json
import os
import resource
import time
from pathlib import Path

import aiohttp

BODY = Path(os.environ["BENCH_BODY"]).read_bytes()


async def main() -> None:
    """Make all calls and print one JSON line."""
    url = os.environ["BENCH_URL"] + "/chat/completions"
    calls, in_flight = int(os.environ["BENCH_CALLS"]), int(os.environ["BENCH_IN_FLIGHT"])
    room = asyncio.Semaphore(in_flight)
    failed = 0

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def call() -> None:
            nonlocal failed
            async with (
                room,
                session.post(
                    url, data=BODY, headers={"Content-Type": "application/json"}
                ) as answer,
            ):
                payload = json.loads(await answer.read())
                failed += "choices" not in payload

        began = time.monotonic()
        await asyncio.gather(*(call() for _ in range(calls)))
        wall = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"wall_s": wall, "cpu_s": used.ru_utime + used.ru_stime, "failed": failed}))


asyncio.run(main())
