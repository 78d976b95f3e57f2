"""taskiq: one asynchronous worker process, results in Redis; wants taskiq and taskiq-redis.

Run as a script it starts its worker and sends; see benchmarks/path.py for the variables.
"""

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import psutil
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

URL = os.environ["BENCH_REDIS"]
BODY = Path(os.environ["BENCH_BODY"]).read_bytes()
broker = ListQueueBroker(URL).with_result_backend(RedisAsyncResultBackend(URL))
session: aiohttp.ClientSession | None = None


@broker.task(task_name="call")
async def call(_: int) -> str:
    """Make one call and return its text."""
    global session
    if session is None:
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    async with session.post(
        os.environ["BENCH_URL"] + "/chat/completions",
        data=BODY,
        headers={"Content-Type": "application/json"},
    ) as answer:
        return str(json.loads(await answer.read())["choices"][0]["message"]["content"])


async def send(calls: int) -> tuple[float, int]:
    """Send all calls and wait for their results; returns seconds and failures."""
    await broker.startup()
    warm = await call.kiq(0)
    await warm.wait_result(timeout=60)
    began = time.monotonic()
    sent = [await call.kiq(i) for i in range(calls)]
    results = await asyncio.gather(*(one.wait_result(timeout=300) for one in sent))
    wall = time.monotonic() - began
    await broker.shutdown()
    return wall, sum(result.is_err for result in results)


def main() -> None:
    """Start one worker, send all calls, print one JSON line."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "taskiq", "worker", "taskiq_queue:broker", "--workers", "1",
         "--max-async-tasks", os.environ["BENCH_IN_FLIGHT"], "--log-level", "ERROR"],
        cwd=Path(__file__).parent,
    )  # fmt: skip
    try:
        wall, failed = asyncio.run(send(int(os.environ["BENCH_CALLS"])))
        family = [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]
        spent = sum(sum(member.cpu_times()[:2]) for member in family)
    finally:
        worker.terminate()
        worker.wait()
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = used.ru_utime + used.ru_stime + spent
    print(json.dumps({"wall_s": wall, "cpu_s": cpu_s, "failed": failed}))


if __name__ == "__main__":
    main()
