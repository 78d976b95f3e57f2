"""The local stack as authors and operators use it: real Valkey, real workers, real pictures."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import redis
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from tasks.routing import node_label
from tasks.stackfile import read_note
from tests.castline import Castline, free_port, wait_for

pytestmark = pytest.mark.integration

TEXT = "A clockmaker in a mountain village who collects the sounds of bells."


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Castline]:
    """Start a stack with two image workers; stop it and see that nothing of it is left."""
    folder = tmp_path_factory.mktemp("stack")
    castline = Castline(
        folder,
        {
            "CASTLINE_HOME": str(folder / "home"),
            "CASTLINE_RESEND_S": "3",
            "CASTLINE_LEASE_S": "6",
            "CASTLINE_METRICS_PORT": str(free_port()),
        },
    )
    done = castline.run("up", "--detach", "--gpus", "2", "--no-flower", timeout_s=120)
    assert done.returncode == 0, done.stderr
    note = read_note(folder / "home")
    assert note is not None
    family = [psutil.Process(note.supervisor_pid)]
    family += family[0].children(recursive=True)
    yield castline
    family += [p for p in family[0].children(recursive=True) if p not in family]
    done = castline.run("down")
    assert done.returncode == 0, done.stderr
    assert [p for p in family if p.is_running() and p.status() != "zombie"] == []


@pytest.fixture(scope="module")
def finished(stack: Castline) -> dict[str, Any]:
    """Run the main job once."""
    return stack.json("run", "--text", TEXT, "--personas", "3", "--tweets", "10", "--images",
                      "--out", "main")  # fmt: skip


def test_the_main_job_gives_the_json_of_the_design(finished: dict[str, Any]) -> None:
    assert finished["state"] == "done"
    assert finished["personas"] == {"total": 3, "done": 3, "failed": 0}
    assert finished["tweets"] == {"total": 30, "done": 30, "failed": 0}
    assert finished["images"] == {"total": 30, "done": 30, "failed": 0}
    assert finished["calls"]["made"] >= 3 * 11 + 3 + 30
    assert finished["failures"] == []


def test_the_folder_holds_characters_tweets_and_pictures(
    stack: Castline, finished: dict[str, Any]
) -> None:
    out = Path(finished["out"])
    assert json.loads((out / "run.json").read_text())["run_id"] == finished["run_id"]
    assert "AI-generated" in (out / "index.html").read_text()
    cards = sorted(out.glob("*/card.json"))
    assert len(cards) == 3
    names = {json.loads(card.read_text())["data"]["name"] for card in cards}
    assert len(names) == 3
    for card in cards:
        tweets = json.loads((card.parent / "tweets.json").read_text())
        assert [t["slot"] for t in tweets["tweets"]] == list(range(1, 11))
        assert all(t["text"] and t["status"] == "done" for t in tweets["tweets"])
        for tweet in tweets["tweets"]:
            with Image.open(card.parent / tweet["image"]) as picture:
                assert picture.text["AI-generated"] == "true"


def test_both_image_workers_drew(stack: Castline, finished: dict[str, Any]) -> None:
    logs = [(stack.folder / "home" / "logs" / f"gpu-{i}.log").read_text() for i in (0, 1)]
    assert all("drew" in log for log in logs)


def test_a_runs_log_has_the_line_of_every_step_of_all_its_workers(
    stack: Castline, finished: dict[str, Any]
) -> None:
    run = finished["run_id"]
    [listed] = [line for line in stack.json("runs")["runs"] if line["run_id"] == run]

    def shipped() -> list[dict[str, Any]]:
        lines = stack.json("logs", "--run", run, "--lines", "1000")["lines"]
        done = {line["step"] for line in lines if line["event"] == "done"}
        return lines if len(done) == listed["steps"] else []

    lines = wait_for("a line of every step", shipped)
    assert {line["run"] for line in lines} == {run}
    assert all(line["task_id"] for line in lines)
    kinds = {line["service"].split(".")[0] for line in lines}
    assert len([kind for kind in kinds if kind.startswith("gpu-")]) == 2
    assert TEXT not in json.dumps(lines)
    [log] = [one for one in stack.json("logs", "--list")["logs"] if one["run"] == run]
    assert log["lines"] == len(lines)
    shown = stack.run("logs", "--grep", "drew", "-n", "1").stdout
    assert re.search(r"gpu-\d.* drew \d+ pictures", shown)
    assert stack.run("logs", "--run", "nobody").returncode == 2


def test_statistics_and_metrics_count_what_the_runs_did(
    stack: Castline, finished: dict[str, Any]
) -> None:
    listed = stack.json("runs")["runs"]
    made = sum(stack.json("status", line["run_id"])["calls"]["made"] for line in listed)
    url = f"http://127.0.0.1:{stack.variables['CASTLINE_METRICS_PORT']}/metrics"

    def shipped() -> dict[tuple[str, ...], float]:
        families = text_string_to_metric_families(httpx.get(url).text)
        samples = [sample for family in families for sample in family.samples]
        seen = {(sample.name, *sample.labels.values()): sample.value for sample in samples}
        return seen if seen["castline_calls_total", "ok"] >= made else {}

    seen = wait_for("all calls in the metrics", shipped)
    assert seen["castline_calls_total", "ok"] == seen["castline_call_seconds_count",] == made
    assert seen["castline_steps_total", "done"] == seen["castline_step_seconds_count",]
    assert seen["castline_steps_total", "done"] == sum(line["steps"] for line in listed)
    assert seen["castline_services_up", "gpu"] == 2
    stats = stack.json("stats")
    assert (stats["calls"], stats["steps_failed"], stats["errors"]) == (made, 0, {})
    assert {"llm", "gpu", "upkeep"} <= {one["name"].split("-")[0] for one in stats["services"]}
    assert all(one["memory_bytes"] > 10**7 for one in stats["services"])
    shown = stack.run("stats", "--trend").stdout
    assert f"{made} answered" in shown
    assert "Alerts" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_statistics_are_followed_until_ctrl_c(stack: Castline) -> None:
    following = stack.start("stats", "-f", "--json")
    assert following.stdout is not None
    looks = [json.loads(following.stdout.readline()) for _ in range(2)]
    assert all(look["window_s"] > 0 for look in looks)
    following.send_signal(signal.SIGINT)
    following.communicate(timeout=30)
    assert following.returncode == 130


def test_the_log_is_followed_until_ctrl_c(stack: Castline) -> None:
    following = stack.start("logs", "-f", "--json", "--grep", "done", "--service", "llm")
    run = stack.json("persona", "--text", TEXT, "--out", "followed")["run_id"]
    assert following.stdout is not None
    for text in following.stdout:
        if json.loads(text)["run"] == run:
            break
    following.send_signal(signal.SIGINT)
    following.communicate(timeout=30)
    assert following.returncode == 130


def test_status_names_services_queues_and_gates(stack: Castline) -> None:
    status = stack.json("status")
    names = " ".join(service["name"] for service in status["services"])
    for kind in ("redis", "llm", "gpu-0", "gpu-1", "upkeep"):
        assert kind in names
    assert {"name", "pid", "node", "state"} <= set(status["services"][0])
    assert sum(q["name"].startswith("gpu.") for q in status["queues"]) == 2
    assert {"name", "waiting", "running"} <= set(status["queues"][0])
    assert status["gates"][0]["provider"] == "simulated"


def test_limits_are_shown_and_changed_while_running(stack: Castline) -> None:
    [before] = stack.json("limits")["providers"]
    assert before["provider"] == "simulated"
    assert (before["slots"], before["breaker"], before["changed"]) == (20, "closed", False)
    assert len(before["waiting"]) == 1
    [changed] = stack.json("limits", "set", "simulated", "--slots", "3", "--rpm", "600")[
        "providers"
    ]
    assert (changed["slots"], changed["rpm"], changed["changed"]) == (3, 600, True)
    [again] = stack.json("limits", "--reset")["providers"]
    assert again == {**before, "waiting": again["waiting"]}
    unknown = stack.run("limits", "nobody", "--slots", "3")
    assert unknown.returncode == 2
    assert "simulated" in unknown.stderr


def test_the_same_folder_is_refused_for_another_run(
    stack: Castline, finished: dict[str, Any]
) -> None:
    runs = len(stack.json("runs")["runs"])
    done = stack.run("run", "--text", TEXT, "--out", "main")
    assert done.returncode == 2
    assert finished["run_id"] in done.stderr
    assert len(stack.json("runs")["runs"]) == runs


def test_results_and_watch_write_the_same_run_again(
    stack: Castline, finished: dict[str, Any]
) -> None:
    written = stack.json("results", finished["run_id"], "--out", "again")
    assert written["tweets"]["done"] == 30
    assert (stack.folder / "again" / "index.html").exists()
    assert stack.json("watch", finished["run_id"])["state"] == "done"


def test_tweets_and_pictures_can_be_made_from_files(
    stack: Castline, finished: dict[str, Any]
) -> None:
    card = next(iter(sorted(Path(finished["out"]).glob("*/card.png"))))
    tweets = stack.json("tweets", "--persona", str(card), "--count", "2", "--out", "more")
    assert tweets["state"] == "done"
    assert tweets["tweets"]["done"] == 2
    file = next((stack.folder / "more").glob("*/tweets.json"))
    pictures = stack.json("images", "--tweets", str(file), "--num-gpus", "2", "--out", "drawn")
    assert pictures["images"] == {"total": 2, "done": 2, "failed": 0}


def test_of_many_cards_the_last_begins_when_others_have_their_tweets(
    stack: Castline, finished: dict[str, Any]
) -> None:
    card = str(next(iter(sorted(Path(finished["out"]).glob("*/card.png")))))
    made = stack.json("tweets", *["--persona", card] * 8, "--count", "2", "--max-concurrent", "1",
                      "--out", "cards")  # fmt: skip
    assert made["tweets"] == {"total": 16, "done": 16, "failed": 0}
    steps = 8 * (1 + 2 + 1)

    def done() -> list[str]:
        lines = stack.json("logs", "--run", made["run_id"], "--lines", "1000")["lines"]
        ended = [line["step"] for line in lines if line["event"] == "done"]
        return ended if len(set(ended)) == steps else []

    order = wait_for("a line of every step", done)
    before = order[: order.index("p7.calendar")]
    assert len([step for step in before if step.endswith(".collect")]) >= 8 - 4


def test_a_character_comes_from_a_picture_and_keeps_it_as_portrait(stack: Castline) -> None:
    picture = Path(__file__).parents[2] / "examples" / "portrait.png"
    done = stack.json("persona", "--image", str(picture), "--out", "seen")
    assert done["personas"]["done"] == 1
    assert done["calls"]["made"] == 12
    card = next((stack.folder / "seen").glob("*/card.png"))
    with Image.open(card) as portrait, Image.open(picture) as given:
        assert {"chara", "ccv3"} <= set(portrait.text)
        assert portrait.size == given.size


def test_characters_of_one_picture_share_the_call_that_looks_at_it(stack: Castline) -> None:
    picture = stack.folder / "siblings.png"
    Image.linear_gradient("L").save(picture)
    done = stack.json("persona", "--image", str(picture), "--personas", "3", "--out", "siblings")
    assert done["personas"]["done"] == 3
    assert (done["calls"]["made"], done["calls"]["cached"]) == (3 * 11 + 1, 2)


def test_a_chinese_brief_gives_chinese_tweets_for_the_days_of_a_calendar(stack: Castline) -> None:
    examples = Path(__file__).parents[2] / "examples"
    done = stack.json(
        "run", "--brief", str(examples / "tea-master.zh.md"), "--language", "zh", "--tweets", "3",
        "--calendar", str(examples / "calendar.json"), "--out", "zh",
    )  # fmt: skip
    assert done["state"] == "done"
    tweets = json.loads(next((stack.folder / "zh").glob("*/tweets.json")).read_text())["tweets"]
    assert [t["date"] for t in tweets] == ["2026-12-01", "2026-12-02", "2026-12-03"]
    assert all(any("一" <= c <= "鿿" for c in t["text"]) for t in tweets)


def test_a_cancelled_run_says_so_and_a_retry_finishes_it(stack: Castline) -> None:
    begun = stack.json("run", "--text", TEXT, "--personas", "6", "--tweets", "20", "--detach",
                       "--max-concurrent", "1", "--out", "cancelled")  # fmt: skip
    stack.json("cancel", begun["run_id"])
    ended = wait_for(
        "the end of the cancelled run",
        lambda: (s := stack.json("status", begun["run_id"]))["state"] != "running" and s,
    )
    assert ended["state"] == "cancelled"
    again = stack.json("retry", begun["run_id"])
    assert again["state"] == "done"
    assert again["tweets"] == {"total": 120, "done": 120, "failed": 0}


def test_ctrl_c_ends_the_waiting_and_the_run_goes_on(stack: Castline) -> None:
    known = {line["run_id"] for line in stack.json("runs")["runs"]}
    waiting = stack.start("run", "--text", TEXT, "--personas", "3", "--tweets", "60", "--json",
                          "--max-concurrent", "2", "--out", "left")  # fmt: skip
    wait_for(
        "the new run",
        lambda: [
            line
            for line in stack.json("runs")["runs"]
            if line["run_id"] not in known and line["state"] == "running"
        ],
    )
    waiting.send_signal(signal.SIGINT)
    out, err = waiting.communicate(timeout=60)
    run_id = json.loads(out)["run_id"]
    if waiting.returncode == 0:
        pytest.skip("the run was over before Ctrl-C came")
    assert waiting.returncode == 130
    assert f"castline watch {run_id}" in err
    assert stack.json("watch", run_id)["tweets"]["done"] == 180


def test_a_killed_worker_is_back_and_its_run_is_finished(stack: Castline) -> None:
    begun = stack.json("run", "--text", TEXT, "--personas", "4", "--tweets", "10", "--images",
                       "--detach", "--out", "killed")  # fmt: skip
    before = {n: s["pid"] for n, s in stack.services().items() if n.startswith(("llm", "gpu-0"))}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)

    def both_are_back() -> bool:
        now = stack.services()
        kinds = {n.split("-")[0] for n, s in now.items() if s["pid"] not in before.values()}
        return {"llm", "gpu"} <= kinds and "gpu-0" in " ".join(
            n for n, s in now.items() if s["pid"] not in before.values()
        )

    wait_for("both workers to be back", both_are_back)
    done = stack.json("watch", begun["run_id"])
    assert done["state"] == "done"
    assert done["tweets"] == {"total": 40, "done": 40, "failed": 0}
    assert done["images"] == {"total": 40, "done": 40, "failed": 0}


def test_workers_of_another_host_that_join_a_run_get_work(stack: Castline) -> None:
    note = read_note(stack.folder / "home")
    assert note is not None
    other = Castline(
        stack.folder,
        {
            "CASTLINE_HOME": str(stack.folder / "other-home"),
            "CASTLINE_REDIS_URL": note.redis_url,
            "CASTLINE_BLOBS": f"file://{stack.folder}/home/blobs",
            "CASTLINE_NODE": "second.host",
            "CASTLINE_LLM_BASE_URL": note.simulate_url,
            "CASTLINE_LLM_MODEL": "castline-simulated",
            "CASTLINE_RENDERER": "sleep:0.3",
        },
    )
    begun = stack.json("run", "--text", TEXT, "--personas", "8", "--tweets", "20", "--images",
                       "--renderer", "sleep:0.3", "--detach", "--out", "shared")  # fmt: skip
    slow = stack.json("run", "--text", TEXT, "--personas", "16", "--tweets", "60", "--detach",
                      "--max-concurrent", "2", "--out", "slow")  # fmt: skip
    workers = [other.start("worker", "llm"), other.start("worker", "gpu", "--device", "cpu")]
    ledger = redis.Redis.from_url(note.redis_url, decode_responses=True)

    def claimed(run_id: str, *, picture: bool) -> bool:
        leases: dict[str, str] = ledger.hgetall(f"castline:run:{run_id}:lease")
        return any(
            f" {node_label('second.host')}/" in lease and (".i" in step) == picture
            for step, lease in leases.items()
        )

    try:
        wait_for(
            "a text step that the other host claims", lambda: claimed(slow["run_id"], picture=False)
        )
        wait_for(
            "a picture that the other host claims", lambda: claimed(begun["run_id"], picture=True)
        )
        assert stack.json("watch", begun["run_id"])["state"] == "done"
        stack.json("cancel", slow["run_id"])
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        said = [worker.communicate(timeout=60)[1] for worker in workers]
    assert "drew" in said[1]
    assert [worker.returncode for worker in workers] == [0, 0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stack_in_the_foreground_ends_with_its_signal_and_leaves_nothing(
    tmp_path: Path, number: signal.Signals
) -> None:
    castline = Castline(tmp_path, {"CASTLINE_HOME": str(tmp_path / "home")})
    up = castline.start("up", "--gpus", "0", "--no-flower")
    assert up.stderr is not None
    for line in up.stderr:
        if "Ctrl-C stops everything" in line:
            break
    note = read_note(tmp_path / "home")
    assert note is not None
    family = [psutil.Process(note.supervisor_pid)]
    family += family[0].children(recursive=True)
    assert len(family) >= 5
    up.send_signal(number)
    up.communicate(timeout=60)
    assert up.returncode == 130
    assert [p for p in family if p.is_running() and p.status() != "zombie"] == []
    assert read_note(tmp_path / "home") is None


def test_any_openai_compatible_server_serves_and_sees_only_strict_keyed_calls(
    tmp_path: Path,
) -> None:
    castline = Castline(tmp_path, {})
    provider = castline.start("simulate", "--port", "0", "--api-key", "sk-test", "--latency", "0")
    assert provider.stderr is not None
    line = provider.stderr.readline()
    address = "http://" + line.split("http://")[1].split()[0]
    foreign = Castline(
        tmp_path,
        {
            "CASTLINE_HOME": str(tmp_path / "home"),
            "CASTLINE_LLM_BASE_URL": address,
            "CASTLINE_LLM_API_KEY": "sk-test",
            "CASTLINE_LLM_MODEL": "another-model",
        },
    )
    try:
        assert foreign.run("up", "--detach", "--gpus", "0", "--no-flower").returncode == 0
        done = foreign.json("run", "--text", TEXT, "--personas", "2", "--tweets", "3")
        assert done["state"] == "done"
        seen = httpx.get(address.removesuffix("/v1") + "/stats").json()
        assert seen["not_strict"] == 0
        assert seen["without_key"] == 0
        assert seen["duplicate_keys"] == 0
        assert seen["granted"] == done["calls"]["made"]
        logs = "".join(p.read_text() for p in (tmp_path / "home" / "logs").glob("*.log"))
        assert "sk-test" not in logs
        assert TEXT not in logs
    finally:
        foreign.run("down")
        provider.terminate()
        provider.communicate()
