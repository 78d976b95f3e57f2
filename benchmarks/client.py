"""The model client's own cost beside bare asyncio + aiohttp, in one run.

    .venv/bin/python benchmarks/client.py --rounds 3

1,000 calls of 0.3 s, 100 in flight, each way in a process of its own, in turns, against the same
provider in another process; the gate is in memory. Efficiency is the seconds that the calls alone
would take over the wall seconds; CPU is the calling process's between first call and last answer.
"""

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.provider import simulated  # noqa: E402
from tasks.llm.client import LLMClient  # noqa: E402
from tasks.llm.transport import Wire  # noqa: E402
from tasks.settings import child_environment  # noqa: E402

PROMPT = "Write one tweet about the lamp, in a patient mood. " * 12
MAX_TOKENS = 60


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--in-flight", type=int, default=100)
    parser.add_argument("--latency", type=float, default=0.3)
    parser.add_argument("--way", choices=WAYS, help="run this way here, print one JSON line")
    parser.add_argument("--url", default="")
    return parser.parse_args()


async def limited(call: Callable[[int], Awaitable[object]], calls: int, in_flight: int) -> None:
    """Make calls, so many at once."""
    room = asyncio.Semaphore(in_flight)

    async def one(number: int) -> None:
        async with room:
            await call(number)

    await asyncio.gather(*(one(number) for number in range(calls)))


async def bare(given: argparse.Namespace) -> None:
    """Asyncio and aiohttp alone."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def call(number: int) -> None:
            message = {"role": "user", "content": f"{number}: {PROMPT}"}
            body = {"model": "m", "messages": [message], "max_tokens": MAX_TOKENS}
            async with session.post(f"{given.url}/chat/completions", json=body) as answer:
                assert json.loads(await answer.read())["choices"]

        await limited(call, given.calls, given.in_flight)


async def wire(given: argparse.Namespace) -> None:
    """Our HTTP way alone: httpx's types over aiohttp's pool."""
    way = Wire(given.url, headers={}, timeout_s=60)

    async def call(number: int) -> None:
        message = {"role": "user", "content": f"{number}: {PROMPT}"}
        body = {"model": "m", "messages": [message], "max_tokens": MAX_TOKENS}
        answer = await way.send(way.post("chat/completions", body, key=str(number)))
        assert json.loads(answer.content)["choices"]

    await limited(call, given.calls, given.in_flight)
    await way.close()


async def chat_async(given: argparse.Namespace) -> None:
    """One `chat_async` for each call: two hops between threads."""
    async with LLMClient(base_url=given.url, model="m", workers=given.in_flight) as client:

        async def call(number: int) -> None:
            assert await client.chat_async(f"{number}: {PROMPT}", max_tokens=MAX_TOKENS)

        await limited(call, given.calls, given.in_flight)
        assert client.status()["connections_opened"] <= given.in_flight


async def batch(given: argparse.Namespace) -> None:
    """One `batch` for all."""
    prompts = (f"{number}: {PROMPT}" for number in range(given.calls))
    with LLMClient(base_url=given.url, model="m", workers=given.in_flight) as client:
        answers = client.batch(prompts, max_in_flight=given.in_flight, max_tokens=MAX_TOKENS)
    assert all(isinstance(answer, str) for answer in answers)


WAYS = {
    "bare asyncio + aiohttp": bare,
    "httpx over aiohttp, our wire": wire,
    "LLMClient.chat_async": chat_async,
    "LLMClient.batch": batch,
}


def run_here(given: argparse.Namespace) -> None:
    """Run one way and print what it took."""
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    asyncio.run(WAYS[given.way](given))
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"wall_s": wall, "cpu_s": cpu}))


def run_in_process(given: argparse.Namespace, way: str, url: str) -> dict[str, float]:
    """Run one way in a process of its own."""
    done = subprocess.run(
        [
            *(sys.executable, __file__, "--way", way, "--url", url),
            *("--calls", str(given.calls), "--in-flight", str(given.in_flight)),
        ],
        check=True,
        capture_output=True,
        text=True,
        env=child_environment(MAX_CONCURRENT=str(given.in_flight)),
    )
    return dict(json.loads(done.stdout))


def run_all(given: argparse.Namespace) -> None:
    """Run every way in turns and print a table."""
    ideal = given.calls * given.latency / given.in_flight
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with (
        tempfile.TemporaryDirectory(prefix="castline-client-") as folder,
        simulated(Path(folder), f"--latency={given.latency}") as provider,
    ):
        for _ in range(given.rounds):
            for way in WAYS:
                found[way].append(run_in_process(given, way, provider.address))
    print("| way | efficiency | CPU ms a call |\n|---|---|---|")
    for way, runs in found.items():
        wall = statistics.median(run["wall_s"] for run in runs)
        cpu = statistics.median(run["cpu_s"] for run in runs)
        print(f"| {way} | {ideal / wall:.2f} | {cpu / given.calls * 1000:.2f} |")


if __name__ == "__main__":
    arguments = options()
    run_here(arguments) if arguments.way else run_all(arguments)
