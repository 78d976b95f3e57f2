"""LangSmith traces, shown against a stand-in for its HTTP API."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from tasks.schemas.steps import tweet_step
from tests.castline import ROOT, Castline, wait_for
from tests.langsmith import Standin

pytestmark = pytest.mark.integration

KEY = "lsv2-made-up-for-this-test"
MARKER = "xylophonist"


def traced(folder: Path, endpoint: str) -> Castline:
    """A working folder whose traces go to `endpoint`."""
    return Castline(
        folder,
        {
            "CASTLINE_HOME": str(folder / "home"),
            "LANGSMITH_API_KEY": KEY,
            "LANGSMITH_ENDPOINT": endpoint,
            "LANGSMITH_DISABLE_RUN_COMPRESSION": "true",
        },
    )


def run(castline: Castline) -> dict[str, Any]:
    """Make two characters with two tweets each on a stack of one's own."""
    return castline.json("run", "--text", f"A {MARKER} in a harbour town.", "--personas", "2",
                         "--tweets", "2", "--no-images")  # fmt: skip


@pytest.fixture
def castline(tmp_path: Path, httpserver: HTTPServer) -> Iterator[tuple[Castline, Standin]]:
    """Start a stack with two LLM workers that trace to the stand-in."""
    standin = Standin()
    standin.serve(httpserver)
    castline = traced(tmp_path, httpserver.url_for("").rstrip("/"))
    extra = None
    try:
        assert castline.run("up", "--detach", "--gpus", "0", "--no-flower").returncode == 0
        extra = castline.start("worker", "llm")
        wait_for("a second worker", lambda: sum("llm" in name for name in castline.services()) == 2)
        yield castline, standin
    finally:
        castline.run("down")
        if extra is not None:
            extra.terminate()
            extra.communicate()


def test_a_run_is_one_trace_over_all_processes(castline: tuple[Castline, Standin]) -> None:
    here, standin = castline
    done = run(here)
    assert done["state"] == "done"

    def ended() -> bool:
        runs = standin.named().values()
        calls = [one for one in runs if one.get("run_type") == "llm" and "end_time" in one]
        root = [one for one in runs if one.get("name") == done["run_id"] and "end_time" in one]
        return len(calls) == done["calls"]["made"] and bool(root)

    wait_for("the trace to end", ended)
    runs = standin.named()
    (root_id,) = [i for i, one in runs.items() if "parent_run_id" not in one]
    assert runs[root_id]["name"] == done["run_id"]
    assert {one["trace_id"] for one in runs.values()} == {root_id}
    assert all("end_time" in one for one in runs.values())
    steps = {i: one for i, one in runs.items() if one.get("parent_run_id") == root_id}
    names = {one["name"] for one in steps.values()}
    assert {"p0.core", "p1.knowledge", "p0.calendar", tweet_step(1, 2)} <= names
    calls = [one for one in runs.values() if one["run_type"] == "llm"]
    assert all(call["parent_run_id"] in steps for call in calls)
    tokens = [call["outputs"]["usage_metadata"]["output_tokens"] for call in calls]
    assert sum(tokens) == done["tokens"]["completion"]
    models = {call["extra"]["metadata"]["ls_model_name"] for call in calls}
    assert models == {"castline-simulated"}
    workers = {one["extra"]["metadata"]["worker"] for one in steps.values()}
    assert len(workers) == 2
    received = bytes(standin.raw)
    assert MARKER.encode() not in received
    assert KEY.encode() not in received


@pytest.fixture
def silent() -> Iterator[str]:
    """An endpoint that accepts connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def refusing() -> str:
    """An endpoint where nobody listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("endpoint", ["silent", "refusing"])
def test_a_dead_endpoint_fails_no_run_and_keeps_no_process(
    tmp_path: Path, endpoint: str, request: pytest.FixtureRequest
) -> None:
    castline = traced(tmp_path, request.getfixturevalue(endpoint))
    try:
        assert castline.run("up", "--detach", "--gpus", "0", "--no-flower").returncode == 0
        assert run(castline)["state"] == "done"
    finally:
        down = castline.run("down", timeout_s=60)
    assert down.returncode == 0
    logs = "".join(path.read_text() for path in (tmp_path / "home" / "logs").glob("*.log"))
    assert "Traceback" not in logs
    assert KEY not in logs


def test_without_a_key_langsmith_is_not_imported() -> None:
    code = (
        "import sys, tasks.personas, tasks.tweets, tasks.llm.completer, tasks.traces\n"
        "from tasks.llm.tracing import traced\n"
        "with traced('step', run_id='20261123-120000-abcd') as span: assert span is None\n"
        "assert not [m for m in sys.modules if m.startswith('langsmith')]"
    )
    bare = Castline(ROOT, {}).environment()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=bare, check=True)
