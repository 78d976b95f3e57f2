"""How many requests the API answers: like `ab -n 1000 -c 50` and `wrk -c400 -d30s`, with aiohttp.

    .venv/bin/python benchmarks/api.py --seconds 30

starts a stack on the simulated provider without latency and one instance of the API, all on this
machine, the load generator too. `create` sends 1,000 runs over 50 connections, the other loads ask
over `--connections` for `--seconds`. `streams` follows one run that many times at once.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.api_client import Instance, api_on  # noqa: E402
from tests.castline import Castline, free_port  # noqa: E402

BODY = {"characters": [{"text": "A keeper of clocks."}], "tweets": 0}
Ask = Callable[[aiohttp.ClientSession], Awaitable[int]]


@dataclass
class Tally:
    """What came of one load: answers by status, and how long each took."""

    statuses: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    async def take(self, ask: Ask, session: aiohttp.ClientSession) -> None:
        """Ask once and note what came of it."""
        began = time.perf_counter()
        try:
            status = str(await ask(session))
        except (aiohttp.ClientError, TimeoutError) as error:
            status = type(error).__name__
        self.statuses[status] += 1
        self.seconds.append(time.perf_counter() - began)

    def at(self, share: float) -> float:
        """The time within which a share of the answers came, in ms."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


async def loaded(ask: Ask, *, connections: int, more: Callable[[], bool], key: str) -> Tally:
    """Ask over so many connections, each again when it was answered, while there is `more`."""
    tally = Tally()
    headers = {"Authorization": f"Bearer {key}"}
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def one() -> None:
            while more():
                await tally.take(ask, session)

        await asyncio.gather(*(one() for _ in range(connections)))
    return tally


def getting(url: str) -> Ask:
    """Ask for a page, whole."""

    async def ask(session: aiohttp.ClientSession) -> int:
        async with session.get(url) as answer:
            await answer.read()
            return answer.status

    return ask


def creating(url: str) -> Ask:
    """Ask for a run."""

    async def ask(session: aiohttp.ClientSession) -> int:
        async with session.post(f"{url}/runs", json=BODY) as answer:
            await answer.read()
            return answer.status

    return ask


def for_seconds(seconds: float) -> Callable[[], bool]:
    """Say that there is more until so many seconds are over."""
    until = time.perf_counter() + seconds
    return lambda: time.perf_counter() < until


def times(count: int) -> Callable[[], bool]:
    """Say that there is more so many times."""
    left = iter(range(count))
    return lambda: next(left, None) is not None


def measure(
    name: str, api: Instance, ask: Ask, *, connections: int, more: Callable[[], bool], key: str
) -> None:
    """Put one load on an instance and print what came of it."""
    process = psutil.Process(api.process.pid)
    before, began = process.cpu_times(), time.perf_counter()
    tally = asyncio.run(loaded(ask, connections=connections, more=more, key=key))
    took, after = time.perf_counter() - began, process.cpu_times()
    cpu = (after.user + after.system - before.user - before.system) / len(tally.seconds) * 1000
    print(
        f"| {name} | {connections} | {len(tally.seconds):,} | {len(tally.seconds) / took:,.0f} | "
        f"{tally.at(0.5):.1f} | {tally.at(0.99):.1f} | {cpu:.2f} | "
        f"{process.memory_info().rss / 1e6:.0f} | {dict(tally.statuses)} |",
        flush=True,
    )


def main() -> None:
    """Start everything, put the loads on it, stop everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=400)
    parser.add_argument("--creates", type=int, default=1000)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="castline-api-"))
    variables = {
        "CASTLINE_HOME": str(folder / "home"),
        "CASTLINE_QUEUE_MOST_CALLS": "1000000",
        "CASTLINE_API_STREAMS": "1000",
        "CASTLINE_LLM_MODEL": "castline-simulated",
    }
    port = free_port()
    variables["CASTLINE_LLM_BASE_URL"] = f"http://127.0.0.1:{port}/v1"
    castline = Castline(folder, variables)
    provider = castline.start("simulate", "--port", str(port), "--latency", "0")
    try:
        assert castline.run("up", "--detach", "--gpus", "0", "--no-flower").returncode == 0
        made = castline.json("api-key", "create", "bench", "--rpm", "0", "--runs", "0")
        with api_on(castline) as api:
            loads(api, str(made["key"]), options)
    finally:
        castline.run("down")
        provider.terminate()
        provider.communicate()
        shutil.rmtree(folder, ignore_errors=True)


def loads(api: Instance, key: str, options: argparse.Namespace) -> None:
    """Put all loads on one instance."""
    print("| load | connections | answers | a second | p50 ms | p99 ms | CPU ms | MB | statuses |")
    print("|---|---|---|---|---|---|---|---|---|")
    many: dict[str, Any] = {"connections": options.connections, "key": key}
    some: dict[str, Any] = {"connections": 50, "key": key}
    run = asyncio.run(one_run(api, key))
    for name, url in (("health", "/health"), ("status", f"/runs/{run}")):
        ask = getting(api.url + url)
        measure(f"{name}, n=1000", api, ask, more=times(1000), **some)
        measure(name, api, ask, more=for_seconds(options.seconds), **many)
    ask = getting(f"{api.url}/runs/{run}/events")
    measure("streams", api, ask, more=times(options.connections), **many)
    creates = options.creates
    measure("create", api, creating(api.url), more=times(creates), **some)
    measure(
        "status while they run", api, getting(f"{api.url}/runs/{run}"), more=times(1000), **some
    )


async def one_run(api: Instance, key: str) -> str:
    """Make a run and wait for its end."""
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.post(f"{api.url}/runs", json=BODY) as answer:
            run = str((await answer.json())["run_id"])
        async with session.get(f"{api.url}/runs/{run}/events") as stream:
            await stream.read()
    return run


if __name__ == "__main__":
    main()
