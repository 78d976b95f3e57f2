"""Instances of the API as processes of their own, and a reader of their streams."""

import contextlib
import json
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.castline import Castline, free_port, wait_for


@dataclass
class Instance:
    """One `castline api`."""

    url: str
    process: "subprocess.Popen[str]"
    log: Path

    def answers(self) -> bool:
        """Whether it answers at all."""
        try:
            return httpx.get(f"{self.url}/health").status_code == 200
        except httpx.HTTPError:
            return False


@contextlib.contextmanager
def api_on(castline: Castline, port: int = 0, workers: int = 1) -> Iterator[Instance]:
    """Start an instance, on a free port unless one is given; returns once it answers."""
    port = port or free_port()
    log = castline.folder / f"api-{port}.log"
    with log.open("a") as output:
        process = subprocess.Popen(
            castline.command("api", "--port", str(port), "--workers", str(workers)),
            cwd=castline.folder,
            env=castline.environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            text=True,
        )
    instance = Instance(f"http://127.0.0.1:{port}", process, log)
    try:
        wait_for("the API to answer", instance.answers)
        yield instance
    finally:
        process.terminate()
        process.wait(timeout=60)


@dataclass
class Follower:
    """Reads a stream as a browser does: what came, and where to go on."""

    path: str
    headers: dict[str, str]
    events: list[dict[str, Any]] = field(default_factory=list)
    ended: bool = False

    @property
    def ids(self) -> list[str]:
        """The ids of all events that came."""
        return [event["event_id"] for event in self.events]

    def take(self, url: str, most: int = 10**9, seconds: float = 60) -> int:
        """Take so many events more, or those of so many seconds, then drop the connection.

        Returns how many there were.
        """
        headers, until = dict(self.headers), time.monotonic() + seconds
        if self.events:
            headers["Last-Event-ID"] = self.ids[-1]
        taken = 0
        with (
            contextlib.suppress(httpx.ReadTimeout),
            httpx.stream("GET", url + self.path, headers=headers, timeout=seconds) as answer,
        ):
            self.ended = answer.status_code == 204
            if not self.ended:
                assert answer.status_code == 200, answer.read()
                for event in events_of(answer.iter_lines()):
                    self.events.append(event)
                    taken += 1
                    if taken >= most or time.monotonic() > until:
                        break
        return taken


def events_of(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Read server-sent events: each one's data with its `event_id` and `event`."""
    fields: dict[str, str] = {}
    for line in lines:
        if found := re.match(r"(id|event|data): (.*)", line):
            fields[found[1]] = found[2]
        elif not line:
            if "id" in fields:
                data = json.loads(fields["data"])
                yield {**data, "event_id": fields["id"], "event": fields["event"]}
            fields = {}
