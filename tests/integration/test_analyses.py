"""Topic analyses as a user runs them: rounds, failures, signals, pools, and the file's readers."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.castline import wait_for
from tests.chaos.farm import MODEL, Farm, farm_in

pytestmark = pytest.mark.integration

SUMMARY = {
    "total_tasks", "successful_tasks", "failed_tasks", "total_execution_time",
    "average_execution_time", "config", "models",
}  # fmt: skip
RESULT = {
    "topic", "success", "analysis", "search_results_count", "error_message", "execution_time",
    "worker_id", "timestamp",
}  # fmt: skip
# document 000 of the requirements, its two ways to read a file, as they stand there
COUNTS = """
import json
with open('results.json') as f:
    data = json.load(f)
    print('总任务:', data['summary']['total_tasks'])
    print('成功率:', f"{data['summary']['successful_tasks']/data['summary']['total_tasks']*100:.1f}%")  # noqa: E501
    print('平均耗时:', f"{data['summary']['average_execution_time']:.2f}s")
"""  # noqa: E501
FAILURES = """
import json
with open('results.json') as f:
    data = json.load(f)
    for result in data['results']:
        if not result['success']:
            print(f'失败任务: {result["topic"]} - {result["error_message"]}')
"""


def searching(farm: Farm) -> Farm:
    """Let the farm's provider search as BigModel does."""
    own = "CASTLINE_PROVIDERS__SIM__"
    farm.castline.variables.update(
        {
            "CASTLINE_PROVIDER": "sim",
            f"{own}BASE_URL": farm.provider.base_url,
            f"{own}MODEL": MODEL,
            f"{own}WEB_SEARCH": "bigmodel",
            f"{own}SLOTS": "20",
        }
    )
    return farm


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Start a stack whose provider fails at a fifth of the calls."""
    folder = tmp_path_factory.mktemp("analyses")
    with farm_in(folder, latency_s=0.1, options=("--faults", "5xx=0.2")) as farm:
        searching(farm).up()
        yield farm


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Start a stack whose provider takes half a second, and that cannot search."""
    with farm_in(tmp_path_factory.mktemp("slow"), latency_s=0.5) as farm:
        farm.up()
        yield farm


def read(farm: Farm, name: str) -> dict[str, Any]:
    """Read a file that an analysis wrote."""
    return dict(json.loads((farm.castline.folder / name).read_text()))


def ended_steps(farm: Farm, report: dict[str, Any]) -> int:
    """Count in the ledger the analyses that the rounds of a file have ended with."""
    client = farm.store.client()
    runs = [one["run_id"] for one in report["summary"]["config"]["rounds"]]
    states = [client.hgetall(f"castline:run:{run_id}:state") for run_id in runs]
    ended = {"done", "failed", "quarantined"}
    return sum(
        step.endswith(".analyze") and state in ended
        for steps in states
        for step, state in steps.items()
    )


def test_50_topics_in_3_rounds_add_up_though_a_fifth_of_the_calls_fails(failing: Farm) -> None:
    topics = failing.castline.folder / "topics.txt"
    topics.write_text("\n".join(f"话题 {number}" for number in range(50)))
    done = failing.castline.run(
        *("analyze", "--topics-file", str(topics), "--iterations", "3", "--delay", "0"),
        *("--concurrency", "20", "--max-retries", "0", "--output", "results.json"),
    )
    assert done.returncode == 1, done.stderr
    report = read(failing, "results.json")
    summary, results = report["summary"], report["results"]
    assert (set(report), set(summary)) == ({"summary", "results"}, SUMMARY)
    assert all(set(result) == RESULT for result in results)
    assert summary["total_tasks"] == len(results) == 150 == ended_steps(failing, report)
    good = [result for result in results if result["success"]]
    assert summary["successful_tasks"] == len(good) > 75
    assert summary["failed_tasks"] == 150 - len(good) > 0
    rounds = summary["config"]["rounds"]
    assert [one["total_tasks"] for one in rounds] == [50, 50, 50]
    assert sum(one["successful_tasks"] for one in rounds) == len(good)
    assert all(r["analysis"] and r["search_results_count"] and r["worker_id"] for r in good)
    assert all(r["error_message"] for r in results if not r["success"])
    assert f"{len(good)} of 150 topics analysed" in done.stderr
    for snippet, words in ((COUNTS, "总任务: 150"), (FAILURES, "失败任务: 话题")):
        told = subprocess.run(
            [sys.executable, "-c", snippet],
            cwd=failing.castline.folder,
            capture_output=True,
            text=True,
            check=True,
        )
        assert words in told.stdout


def test_a_sigterm_in_the_middle_leaves_a_file_with_all_that_had_finished(slow: Farm) -> None:
    process = slow.castline.start(
        *("analyze", "--topics", *(f"topic {n}" for n in range(40)), "--iterations", "0"),
        *("--delay", "0.1", "--concurrency", "4", "--output", "endless.json"),
    )
    path = slow.castline.folder / "endless.json"
    wait_for("the first round", path.exists)
    before = slow.granted()
    slow.answered(before + 2)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    report = read(slow, "endless.json")
    rounds = report["summary"]["config"]["rounds"]
    assert len(rounds) == 2
    assert rounds[0]["total_tasks"] == 40
    assert 0 < rounds[1]["total_tasks"] < 40
    assert len(report["results"]) == ended_steps(slow, report)
    assert "No web search was available" in report["results"][0]["analysis"]
    assert "no more topics" in err


def test_a_time_limit_from_outside_lets_what_is_under_way_end(slow: Farm) -> None:
    process = subprocess.run(
        [
            *("timeout", "--preserve-status", "10"),
            *slow.castline.command("analyze", "--topics", *(f"night {n}" for n in range(200))),
            *("--concurrency", "8", "--output", "limited.json"),
        ],
        cwd=slow.castline.folder,
        env=slow.castline.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert process.returncode == 143, process.stderr
    assert process.stderr.count("no more topics") == 1
    report = read(slow, "limited.json")
    assert len(report["results"]) == ended_steps(slow, report)
    [one] = report["summary"]["config"]["rounds"]
    states = slow.store.client().hgetall(f"castline:run:{one['run_id']}:state")
    begun = [step for step, state in states.items() if (step[-6:], state) == ("search", "done")]
    assert len(begun) == len(report["results"]) < 200, "a topic that was begun did not end"


def test_a_second_ctrl_c_waits_for_nothing_and_still_writes_the_file(slow: Farm) -> None:
    process = slow.castline.start(
        *("analyze", "--topics", *(f"other topic {n}" for n in range(40))),
        *("--concurrency", "2", "--output", "stopped.json"),
    )
    begun = slow.granted()
    slow.answered(begun + 4)
    assert process.stderr is not None
    worker = slow.supervised("llm")
    worker.suspend()  # what is under way does not end now
    try:
        process.send_signal(signal.SIGINT)
        while "Stopping" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)  # a topic may take 120
    finally:
        worker.resume()
    assert process.returncode == 130
    report = read(slow, "stopped.json")
    assert 0 < report["summary"]["total_tasks"] < 40
    run_id = report["summary"]["config"]["rounds"][0]["run_id"]
    slow.finished(run_id)
    assert slow.castline.json("status", run_id)["state"] == "cancelled"


def test_results_of_a_round_can_be_written_later_and_watch_knows_topics(slow: Farm) -> None:
    done = slow.castline.run("analyze", "--topics", "one", "two", "one", "--output", "two.json")
    assert done.returncode == 0, done.stderr
    assert "Given more than once" in done.stderr
    run_id = read(slow, "two.json")["summary"]["config"]["rounds"][0]["run_id"]
    status = slow.castline.json("watch", run_id)
    assert status["topics"] == {"total": 2, "done": 2, "failed": 0}
    again = slow.castline.json("results", run_id, "--out", "again.json")
    assert (
        again["results"] == read(slow, "two.json")["results"] == read(slow, "again.json")["results"]
    )


@pytest.mark.parametrize("pool", ["threads", "prefork", "solo"])
def test_every_kind_of_pool_analyses(tmp_path: Path, pool: str) -> None:
    with farm_in(tmp_path, latency_s=0) as farm:
        worker = farm.castline.start("worker", "llm", "--pool", pool)
        try:
            wait_for("the worker", lambda: farm.consumes(worker.pid))
            topics = [f"topic {n}" for n in range(6)]
            report = farm.castline.json("analyze", "--topics", *topics, "--output", "r.json")
        finally:
            worker.terminate()
            _, err = worker.communicate(timeout=60)
        assert worker.returncode == 0, err
        assert report["summary"]["successful_tasks"] == 6
        own = {int(r["worker_id"].rpartition("/")[2]) == worker.pid for r in report["results"]}
        assert own == {pool != "prefork"}  # its children work there


def test_bad_input_is_refused_before_anything_is_written(slow: Farm) -> None:
    runs = slow.castline.json("runs")
    cases = {
        (): "no topic",
        ("--topics", *map(str, range(10_000))): "--topics-file",
        ("--topics", "A", "--iterations", "-1"): "--iterations",
        ("--topics", "A", "--output", "/proc/x/y.json"): "cannot be written",
        ("--topics", "A", "--topics-file", "nowhere.txt"): "does not exist",
        ("--topics", "A", "x" * 5000): "topic 2 has 5,000 characters",
    }
    for arguments, words in cases.items():
        done = slow.castline.run("analyze", *arguments)
        assert (done.returncode, words in done.stderr) == (2, True), done.stderr
    assert slow.castline.json("runs") == runs
