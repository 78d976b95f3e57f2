"""The model client's own cost beside bare asyncio + aiohttp, in one run.

    .venv/bin/python benchmarks/client.py --rounds 3

5,000 calls of 0.3 s, 100 in flight, each way in a process of its own, in turns, against the same
provider in another process; the gate is in memory. Every way is opened first (session or client,
no connection yet), which is counted apart. Efficiency is the seconds that the calls alone would
take over the wall seconds; CPU a call is that of the whole calling process, all of its threads,
user and system, between the opened client and the last answer, over the calls: connecting is in
it, importing and opening are not.
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
from dataclasses import dataclass
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
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--in-flight", type=int, default=100)
    parser.add_argument("--latency", type=float, default=0.3)
    parser.add_argument("--way", choices=WAYS, help="run this way here, print one JSON line")
    parser.add_argument("--url", default="")
    return parser.parse_args()


@dataclass(frozen=True)
class Load:
    """The calls to make, by number, and how many at once."""

    url: str
    calls: int
    in_flight: int

    def client(self) -> LLMClient:
        """Make a client for them."""
        return LLMClient(base_url=self.url, model="m", workers=self.in_flight)

    async def each(self, call: Callable[[int], Awaitable[object]]) -> None:
        """Make the calls, so many at once."""
        room = asyncio.Semaphore(self.in_flight)

        async def one(number: int) -> None:
            async with room:
                await call(number)

        await asyncio.gather(*(one(number) for number in range(self.calls)))


def prompt(number: int) -> str:
    """Ask something that nobody else asks."""
    return f"{number}: {PROMPT}"


def body(number: int) -> dict[str, object]:
    """Build what the client would send."""
    message = {"role": "user", "content": prompt(number)}
    return {"model": "m", "messages": [message], "temperature": 0.0, "max_tokens": MAX_TOKENS}


async def bare(load: Load, opened: Callable[[], None]) -> None:
    """Asyncio and aiohttp alone."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        opened()

        async def call(number: int) -> None:
            async with session.post(f"{load.url}/chat/completions", json=body(number)) as answer:
                assert json.loads(await answer.read())["choices"]

        await load.each(call)


async def wire(load: Load, opened: Callable[[], None]) -> None:
    """Our HTTP way alone."""
    way = Wire(load.url, headers={}, timeout_s=60)
    opened()

    async def call(number: int) -> None:
        answer = await way.send(way.post("chat/completions", body(number), key=str(number)))
        assert json.loads(answer.content)["choices"]

    await load.each(call)
    await way.close()


async def chat_async(load: Load, opened: Callable[[], None]) -> None:
    """One `chat_async` for each call: two hops between threads."""
    async with load.client() as client:
        opened()

        async def call(number: int) -> None:
            assert await client.chat_async(prompt(number), max_tokens=MAX_TOKENS)

        await load.each(call)
        assert client.status()["connections_opened"] <= load.in_flight


async def batch(load: Load, opened: Callable[[], None]) -> None:
    """One `batch` for all."""
    prompts = (prompt(number) for number in range(load.calls))
    with load.client() as client:
        opened()
        answers = client.batch(prompts, max_in_flight=load.in_flight, max_tokens=MAX_TOKENS)
        assert all(isinstance(answer, str) for answer in answers)


WAYS = {
    "bare asyncio + aiohttp": bare,
    "our wire": wire,
    "LLMClient.chat_async": chat_async,
    "LLMClient.batch": batch,
}


def cpu_s() -> float:
    """Read the CPU seconds of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def run_here(given: argparse.Namespace) -> None:
    """Run one way and print what it took."""
    began, at = cpu_s(), (0.0, 0.0)

    def opened() -> None:
        nonlocal at
        at = cpu_s(), time.monotonic()

    asyncio.run(WAYS[given.way](Load(given.url, given.calls, given.in_flight), opened))
    took = {"wall_s": time.monotonic() - at[1], "cpu_s": cpu_s() - at[0], "open_s": at[0] - began}
    print(json.dumps(took))


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
    base = statistics.median(run["cpu_s"] for run in found["bare asyncio + aiohttp"])
    print("| way | efficiency | CPU ms a call (range) | times bare | opening, CPU ms |")
    print("|---|---|---|---|---|")
    for way, runs in found.items():
        wall = statistics.median(run["wall_s"] for run in runs)
        spent = sorted(run["cpu_s"] / given.calls * 1000 for run in runs)
        cpu = statistics.median(spent)
        print(
            f"| {way} | {ideal / wall:.2f} | {cpu:.3f} ({spent[0]:.3f}-{spent[-1]:.3f}) "
            f"| {cpu * given.calls / 1000 / base:.2f} "
            f"| {statistics.median(run['open_s'] for run in runs) * 1000:.0f} |"
        )


if __name__ == "__main__":
    arguments = options()
    run_here(arguments) if arguments.way else run_all(arguments)
