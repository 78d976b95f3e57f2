"""How long until a killed worker is back, and until a worker that joins a run has work.

    .venv/bin/python benchmarks/recovery.py --times 5

starts a stack and, in the middle of runs, kills its workers with -9 and starts further ones under
another node's name. `back` is the time from the kill to a new process, `ready` to its first
heartbeat (it consumes by then), `joined` from the start of the command to its first claim in the
ledger.
"""

import argparse
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import redis

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tasks.stackfile import read_note  # noqa: E402
from tests.castline import Castline  # noqa: E402

LONGEST_S = 60.0


def timed(what: str, look: Callable[[], Any], began: float) -> tuple[float, Any]:
    """Wait until `look` returns something; returns the seconds since `began` and what it was."""
    while time.monotonic() - began < LONGEST_S:
        found = look()
        if found:
            return time.monotonic() - began, found
        time.sleep(0.02)
    raise SystemExit(f"{what} did not happen within {LONGEST_S:.0f} s")


def child_of(supervisor: int, marker: str, but: int = 0) -> int:
    """Find the supervised process whose command line ends like `marker`; 0 when there is none."""
    for process in psutil.Process(supervisor).children():
        try:
            if marker in " ".join(process.cmdline()) and process.pid != but:
                return process.pid
        except psutil.Error:
            continue
    return 0


def claimed_by(client: Any, run_id: str, node: str, what: str) -> bool:
    """Whether a worker of this node holds a lease of a step whose name contains `what`."""
    leases = client.hgetall(f"castline:run:{run_id}:lease")
    return any(f" {node}/" in lease and what in step for step, lease in leases.items())


def at_work(client: Any, run_id: str) -> set[str]:
    """List the kinds of step of a run that a living process works on: `text`, `picture`."""
    leases = client.hgetall(f"castline:run:{run_id}:lease")
    return {
        "picture" if ".i" in step else "text"
        for step, lease in leases.items()
        if psutil.pid_exists(holder_of(lease))
    }


def holder_of(lease: str) -> int:
    """Read the process id of a lease: "fence until node/pid/name:claim"."""
    return int(lease.split("/")[1])


def begin(stack: Castline, client: Any, out: str) -> str:
    """Start a run that lasts a while; returns its id once texts and pictures are under way."""
    run_id = str(
        stack.json(
            "run", "--text", "A keeper of small museums.", "--personas", "40", "--tweets", "100",
            "--images", "--renderer", "sleep:0.2", "--detach", "--out", out,
        )["run_id"]
    )  # fmt: skip
    timed("work", lambda: at_work(client, run_id) == {"text", "picture"}, time.monotonic())
    return run_id


def cancel(stack: Castline, client: Any, run_id: str) -> None:
    """Cancel a run; returns once nobody works on it."""
    stack.run("cancel", run_id)
    timed("the end of work", lambda: not at_work(client, run_id), time.monotonic())


def kill(
    stack: Castline, client: Any, supervisor: int, marker: str, kind: str
) -> tuple[float, float]:
    """Kill one worker; returns the seconds until its successor exists and until it is ready."""
    old = child_of(supervisor, marker)
    os.kill(old, signal.SIGKILL)
    began = time.monotonic()
    back, new = timed(f"{kind} worker back", lambda: child_of(supervisor, marker, but=old), began)

    def ready() -> bool:
        return any(
            f'"pid": {new}' in line or f'"pid":{new}' in line for line in service_lines(client)
        )

    return back, timed(f"{kind} worker ready", ready, began)[0]


def service_lines(client: Any) -> list[str]:
    """Read the heartbeats of all services."""
    return [str(value) for value in client.hvals("castline:services")]


def join(stack: Castline, client: Any, run_id: str, node: str, kind: str) -> float:
    """Start a worker under another node's name; returns the seconds until its first claim."""
    note = read_note(stack.folder / "home")
    assert note is not None
    other = Castline(
        stack.folder,
        {
            **stack.variables,
            "CASTLINE_HOME": str(stack.folder / f"home-{node}"),
            "CASTLINE_REDIS_URL": note.redis_url,
            "CASTLINE_BLOBS": f"file://{stack.folder}/home/blobs",
            "CASTLINE_NODE": node,
            "CASTLINE_LLM_BASE_URL": note.simulate_url,
            "CASTLINE_LLM_MODEL": "castline-simulated",
        },
    )
    began = time.monotonic()
    worker = other.start("worker", kind, *(("--device", "cpu") if kind == "gpu" else ()))
    what = ".i" if kind == "gpu" else ""
    try:
        return timed(f"work for {kind}", lambda: claimed_by(client, run_id, node, what), began)[0]
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=60)


def line(name: str, seconds: list[float]) -> str:
    """Format one row."""
    return f"{name:<34} {min(seconds):6.2f} {statistics.median(seconds):6.2f} {max(seconds):6.2f}"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="castline-recovery-"))
    stack = Castline(
        folder, {"CASTLINE_HOME": str(folder / "home"), "CASTLINE_RENDERER": "sleep:0.2"}
    )
    rows: dict[str, list[float]] = {}
    try:
        stack.run("up", "--detach", "--gpus", "1", "--no-flower")
        note = read_note(folder / "home")
        assert note is not None
        client = redis.Redis.from_url(note.redis_url, decode_responses=True)
        for turn in range(given.times):
            run_id = begin(stack, client, f"run-{turn}")
            for kind, marker in (("LLM", "workers llm"), ("GPU", "workers gpu")):
                back, ready = kill(stack, client, note.supervisor_pid, marker, kind)
                rows.setdefault(f"{kind} worker killed, process back", []).append(back)
                rows.setdefault(f"{kind} worker killed, ready again", []).append(ready)
            cancel(stack, client, run_id)
            run_id = begin(stack, client, f"joined-{turn}")
            for kind in ("llm", "gpu"):
                seconds = join(stack, client, run_id, f"node{turn}{kind}", kind)
                rows.setdefault(f"{kind.upper()} worker joined, first claim", []).append(seconds)
            cancel(stack, client, run_id)
    finally:
        stack.run("down")
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{'seconds':<34} {'min':>6} {'median':>6} {'max':>6}")
    for name, seconds in rows.items():
        print(line(name, seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
