"""The simulated provider that the benchmarks call: its start and end, and what it saw."""

import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class SimulatedServer:
    """A provider in a process of its own: its address, and its log."""

    address: str
    log: Path

    def stats(self) -> dict[str, Any]:
        """Ask it what it saw."""
        with urllib.request.urlopen(self.address.removesuffix("/v1") + "/stats") as answer:  # noqa: S310
            return dict(json.load(answer))

    def calls(self) -> list[dict[str, Any]]:
        """Read its log: one entry for each request."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@contextlib.contextmanager
def simulated(folder: Path, *options: str) -> Iterator[SimulatedServer]:
    """Run `castline simulate` on a free port with further options; its log lies in `folder`."""
    log = folder / "calls.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "producer", "simulate", "--port=0", f"--log={log}", *options],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        yield SimulatedServer(address_of(process), log)
    finally:
        process.terminate()
        process.wait()


def address_of(process: "subprocess.Popen[str]") -> str:
    """Wait until the provider says its address."""
    assert process.stderr is not None
    for line in process.stderr:
        if "http://" in line:
            return "http://" + line.split("http://")[1].split()[0]
    raise SystemExit("the simulated provider did not start")
