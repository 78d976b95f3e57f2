"""`--batch-api` on a real stack: the same documents, no chat call, nothing paid twice."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.castline import Castline, free_port, wait_for

pytestmark = pytest.mark.integration

MAKE = ("run", "--text", "A keeper of clocks.", "--personas", "2", "--tweets", "3", "--no-images")


class Stack:
    """A local stack in front of a simulated provider of its own."""

    def __init__(self, folder: Path, *provider: str) -> None:
        port = free_port()
        self.castline = Castline(
            folder,
            {
                "CASTLINE_HOME": str(folder / "home"),
                "CASTLINE_LLM_BASE_URL": f"http://127.0.0.1:{port}/v1",
                "CASTLINE_LLM_MODEL": "simulated",
                "CASTLINE_BATCH_LINGER_S": "0.3",
                "CASTLINE_BATCH_POLL_S": "0.2",
                "CASTLINE_LEASE_S": "3",
                "CASTLINE_RESEND_S": "3",
            },
        )
        self._killed: set[int] = set()
        self._stats = f"http://127.0.0.1:{port}/stats"
        self._provider = self.castline.start("simulate", "--port", str(port), *provider)
        wait_for("the provider to listen", self._listens)
        assert self.castline.run("up", "--detach", "--gpus", "0", "--no-flower").returncode == 0

    def _listens(self) -> bool:
        try:
            return bool(self.stats())
        except httpx.HTTPError:
            return False

    def stats(self) -> dict[str, Any]:
        return dict(httpx.get(self._stats).json())

    def created(self) -> int:
        return int(self.stats()["batches"].get("created", 0))

    def kill_worker(self) -> None:
        """Kill the process that submits, as a crash would, and wait for its successor."""
        for pid in self._workers():
            os.kill(pid, signal.SIGKILL)
            self._killed.add(pid)
        wait_for("another worker", self._workers)

    def _workers(self) -> set[int]:
        """The processes of LLM workers; a killed one's heartbeat stays for a while."""
        lines = self.castline.services().items()
        return {s["pid"] for name, s in lines if name.startswith("llm-")} - self._killed

    def end(self) -> None:
        self.castline.run("down")
        self._provider.terminate()
        self._provider.communicate()


@pytest.fixture
def stack(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """Start a stack; the parameter is the provider's options."""
    running = Stack(tmp_path, *getattr(request, "param", ()))
    yield running
    running.end()


def shape(value: Any) -> Any:
    """Reduce a document to its keys and types."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    return type(value).__name__


def folders(out: Path) -> dict[str, tuple[Any, Any]]:
    """Read each character's card and tweets."""
    return {
        card.parent.name: (
            json.loads(card.read_text()),
            json.loads((card.parent / "tweets.json").read_text()),
        )
        for card in sorted(out.glob("*/card.json"))
    }


@pytest.mark.parametrize("stack", [("--batch-delay", "0.3")], indirect=True)
def test_a_batch_run_makes_what_a_direct_run_makes_without_one_chat_call(
    stack: Stack, tmp_path: Path
) -> None:
    batch = stack.castline.json(*MAKE, "--batch-api", "--out", str(tmp_path / "batch"))
    stats = stack.stats()
    assert batch["state"] == "done"
    assert (stats["granted"], stats["duplicate_keys"], stats["not_strict"]) == (0, 0, 0)
    assert stats["batches"]["calls"] == batch["calls"]["made"]
    assert 5 <= stats["batches"]["completed"] <= batch["calls"]["made"] // 2
    assert batch["tokens"] == stats["tokens"]

    direct = stack.castline.json(*MAKE, "--out", str(tmp_path / "direct"))
    for count in ("personas", "tweets", "calls"):
        assert batch[count] == direct[count]
    made, known = folders(tmp_path / "batch"), folders(tmp_path / "direct")
    assert len(made) == len(known) == 2
    assert [shape(pair) for pair in made.values()] == [shape(pair) for pair in known.values()]
    for _, tweets in made.values():
        assert all(tweet["text"] and tweet["status"] == "done" for tweet in tweets["tweets"])
    assert direct["batch"] is None
    assert batch["batch"]["asked"] == batch["batch"]["back"] == batch["calls"]["made"]


@pytest.mark.chaos
@pytest.mark.parametrize("stack", [("--batch-delay", "1.5")], indirect=True)
def test_killing_the_submitter_again_and_again_pays_nothing_twice(stack: Stack) -> None:
    run_id = stack.castline.json(*MAKE, "--batch-api", "--detach")["run_id"]
    stack.kill_worker()
    for batches in (1, 2, 4):
        wait_for("more batches", lambda n=batches: stack.created() >= n)
        stack.kill_worker()
    done = stack.castline.json("watch", run_id)
    assert done["state"] == "done"
    stats = stack.stats()
    assert (stats["granted"], stats["duplicate_keys"], stats["answered_twice"]) == (0, 0, 0)
    assert stats["batches"]["calls"] == done["calls"]["made"]


@pytest.mark.parametrize(
    "stack",
    [("--batch-delay", "0.2", "--faults", "5xx=0.1,429=0.05,badjson=0.1,truncate=0.05")],
    indirect=True,
)
def test_failing_lines_are_asked_again_and_bad_replies_once_more(stack: Stack) -> None:
    done = stack.castline.json(*MAKE, "--batch-api", "--detach")
    done = stack.castline.run("watch", done["run_id"], "--json")
    status = json.loads(done.stdout)
    assert status["state"] in ("done", "partial")
    assert status["tweets"]["done"] + status["tweets"]["failed"] == 6
    assert status["calls"]["retried"] > 0
    stats = stack.stats()
    assert (stats["granted"], stats["duplicate_keys"]) == (0, 0)


@pytest.mark.parametrize("stack", [("--batch-delay", "60")], indirect=True)
def test_a_waiting_run_shows_its_batch_and_is_cancelled_with_it(stack: Stack) -> None:
    run_id = stack.castline.json(*MAKE, "--batch-api", "--detach")["run_id"]

    def batch() -> dict[str, Any]:
        return dict(stack.castline.json("status", run_id)["batch"])

    wait_for("the batch to be submitted", lambda: batch()["submitted"] == 2)
    said = stack.castline.run("status", run_id).stdout
    assert "waiting for the provider's batch (0 of 2 calls back, batch_" in said
    assert stack.castline.json("cancel", run_id)["cancelled_steps"] > 0
    wait_for("the batch to be cancelled", lambda: stack.stats()["batches"].get("cancelled"))
    assert stack.castline.json("status", run_id)["state"] == "cancelled"
