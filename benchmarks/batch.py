"""The batch of issue 2: many characters, tweets and pictures against the simulated provider.

    .venv/bin/python benchmarks/batch.py --personas 100 --tweets 10 --gpus 8

starts its own Valkey, provider and workers, runs the job once, and prints how far its wall time is
from its bound: max(call-seconds / slots, longest chain, picture-seconds / GPU queues). The
provider's own log judges what was called. Nothing here is asserted but correctness.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.provider import SimulatedServer, simulated  # noqa: E402

PYTHON = [sys.executable, "-m", "producer"]


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--personas", type=int, default=100)
    parser.add_argument("--tweets", type=int, default=10)
    parser.add_argument("--gpus", type=int, default=8)
    parser.add_argument("--latency", type=float, default=0.3)
    parser.add_argument("--slots", type=int, default=20)
    parser.add_argument("--picture-seconds", type=float, default=0.2)
    parser.add_argument("--keep", type=Path, help="folder for logs and results")
    return parser.parse_args()


def castline(environment: dict[str, str], *arguments: str) -> dict[str, Any]:
    """Run a command with --json and return what it printed."""
    done = subprocess.run(
        [*PYTHON, *arguments, "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    if done.returncode not in (0, 1) or not done.stdout:
        raise SystemExit(f"{arguments[0]} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return dict(json.loads(done.stdout))


def cpu_by_service(environment: dict[str, str]) -> dict[str, float]:
    """Add up the CPU seconds of each kind of service, with its children."""
    spent: dict[str, float] = {}
    for service in castline(environment, "status")["services"]:
        process = psutil.Process(service["pid"])
        family = [process, *process.children(recursive=True)]
        kind = service["name"].split("-")[0].split("@")[0]
        used = sum(sum(member.cpu_times()[:2]) for member in family)
        spent[kind] = spent.get(kind, 0.0) + used
    return spent


def bound(
    given: argparse.Namespace, calls: list[dict[str, Any]], chain_calls: int
) -> dict[str, float]:
    """Compute the three bounds in seconds from what was really called."""
    return {
        "calls / slots": sum(call["seconds"] for call in calls) / given.slots,
        "longest chain": chain_calls * given.latency,
        "pictures / queues": given.personas
        * (given.tweets + 1)
        * given.picture_seconds
        / given.gpus,
    }


def environment_of(given: argparse.Namespace, folder: Path, address: str) -> dict[str, str]:
    """Build the environment of all commands."""
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith("CASTLINE_")},
        "CASTLINE_HOME": str(folder / "home"),
        "CASTLINE_LLM_BASE_URL": address,
        "CASTLINE_LLM_MODEL": "castline-simulated",
        "MAX_CONCURRENT": str(given.slots),
        "CASTLINE_RENDERER": f"sleep:{given.picture_seconds}",
    }


def run_batch(given: argparse.Namespace, folder: Path, provider: SimulatedServer) -> bool:
    """Run the batch on a stack of its own and print the table; returns whether it is done."""
    environment = environment_of(given, folder, provider.address)
    try:
        castline(environment, "up", "--gpus", str(given.gpus), "--detach", "--no-flower")
        began = time.monotonic()
        status = castline(
            environment, "run", "--text", "A keeper of small museums.",
            "--personas", str(given.personas), "--tweets", str(given.tweets),
            "--images", "--renderer", f"sleep:{given.picture_seconds}",
            "--out", str(folder / "out"),
        )  # fmt: skip
        wall = time.monotonic() - began
        spent = cpu_by_service(environment)
    finally:
        castline(environment, "down")
    report(given, status, provider, wall)
    print("CPU seconds: " + ", ".join(f"{name} {spent[name]:.1f}" for name in sorted(spent)))
    return bool(status["state"] == "done")


def main() -> int:
    """Run the batch; its folder goes unless it is to be kept."""
    given = options()
    folder = given.keep or Path(tempfile.mkdtemp(prefix="castline-batch-"))
    folder.mkdir(parents=True, exist_ok=True)
    with simulated(folder, f"--latency={given.latency}", f"--slots={given.slots}") as provider:
        done = run_batch(given, folder, provider)
    if given.keep is None:
        shutil.rmtree(folder)
    return 0 if done else 1


def report(
    given: argparse.Namespace, status: dict[str, Any], provider: SimulatedServer, wall: float
) -> None:
    """Print what happened beside its bound."""
    seen, calls = provider.stats(), provider.calls()
    bounds = bound(given, calls, chain_calls=9)
    largest = max(bounds.values())
    print(f"state {status['state']}, failures {len(status['failures'])}")
    print(f"calls {len(calls)}, most at once {seen['max_in_flight']} of {given.slots}")
    print(f"keys granted more than once {seen['duplicate_keys']}, rejected {seen['rejected']}")
    for name, seconds in bounds.items():
        print(f"bound {name:<20} {seconds:7.2f} s")
    for label, seconds in (("run, submitted to finished", status["seconds"]), ("command", wall)):
        print(f"{label:<26} {seconds:7.2f} s = {seconds / largest:.3f} of the bound")


if __name__ == "__main__":
    sys.exit(main())
