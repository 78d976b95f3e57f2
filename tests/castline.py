"""Runs `castline` as a user does, in a folder and environment of its own."""

import contextlib
import itertools
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OURS = ("CASTLINE_", "LANGSMITH_", "LLM_ASYNC_")
PORTS = range(12_000, 32_000)  # Linux gives out those from 32,768 on
WORKERS = 10

_ports = itertools.count(secrets.randbelow(len(PORTS)))  # another suite may run beside this one


@dataclass(frozen=True)
class Castline:
    """A working folder, and the variables that every command in it gets."""

    folder: Path
    variables: dict[str, str]

    def environment(self) -> dict[str, str]:
        """Our environment without a user's Castline settings, plus this one's."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
        kept.pop("MAX_CONCURRENT", None)
        return {**kept, "PYTHONPATH": str(ROOT), **self.variables}

    def command(self, *arguments: str) -> list[str]:
        """Write a command of ours as the system takes it."""
        return [sys.executable, "-m", "producer", *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command without waiting for it."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def json(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Run a command with --json; its stdout must be exactly one object."""
        done = self.run(*arguments, "--json")
        assert done.returncode == code, done.stderr
        return dict(json.loads(done.stdout))

    def services(self) -> dict[str, dict[str, Any]]:
        """Services by name, from `status --json`."""
        return {s["name"]: s for s in self.json("status")["services"]}


def free_port() -> int:
    """Find a port on loopback that stays free until somebody listens on it, or listens again.

    It is none that the system gives out by itself, and no other process of these tests takes it:
    each goes through ports of its own.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    while True:
        port = PORTS[worker * len(PORTS) // WORKERS + next(_ports) % (len(PORTS) // WORKERS)]
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_for(
    what: str, look: Callable[[], Any], *, limit_s: float = 60, every_s: float = 0.1
) -> Any:
    """Wait until `look` returns something true; fails naming `what`."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        found = look()
        if found:
            return found
        time.sleep(every_s)
    raise AssertionError(f"{what} did not happen within {limit_s:.0f} s")
