"""Instances of the API on one Redis: any of them answers, any of them may die."""

import contextlib
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.api_client import Follower, Instance, api_on
from tests.castline import ROOT, wait_for
from tests.chaos.farm import Farm, farm_in

pytestmark = pytest.mark.integration

SECRET = "a keeper of clocks whose name is hush-hush"
BODY = {"characters": [{"text": SECRET}], "tweets": 4}


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Start a stack whose model takes a moment."""
    with farm_in(tmp_path_factory.mktemp("api"), latency_s=0.2) as started:
        started.up()
        yield started


@pytest.fixture(scope="module")
def two(farm: Farm) -> Iterator[tuple[Instance, Instance]]:
    """Start two instances."""
    with api_on(farm.castline) as one, api_on(farm.castline) as other:
        yield one, other


@pytest.fixture(scope="module")
def token(farm: Farm) -> str:
    """Make a key."""
    return str(farm.castline.json("api-key", "create", "test", "--rpm", "0")["key"])


@pytest.fixture(scope="module")
def key(token: str) -> dict[str, str]:
    """Write the key as a header."""
    return {"Authorization": f"Bearer {token}"}


def created(instance: Instance, key: dict[str, str], **more: str) -> str:
    """Ask an instance for a run."""
    answer = httpx.post(f"{instance.url}/runs", json=BODY, headers={**key, **more}, timeout=30)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["run_id"])


def stream_of(farm: Farm, run: str) -> list[str]:
    """Read the ids of a run's events from Redis."""
    return [entry for entry, _ in farm.store.client().xrange(f"castline:run:{run}:events")]


def test_a_run_of_one_instance_is_followed_at_the_other_when_the_first_is_killed(
    farm: Farm, two: tuple[Instance, Instance], key: dict[str, str]
) -> None:
    with api_on(farm.castline) as mortal:
        run = created(mortal, key)
        follower = Follower(f"/runs/{run}/events", key)
        assert follower.take(mortal.url, most=5) == 5
        mortal.process.kill()
        mortal.process.wait()
    follower.take(two[0].url, most=4)
    follower.take(two[1].url)
    assert follower.ids == stream_of(farm, run)
    assert follower.events[-1]["state"] == "finished"
    follower.take(two[0].url)
    assert follower.ended
    for instance in two:
        status = httpx.get(f"{instance.url}/runs/{run}", headers=key).json()
        assert (status["state"], status["tweets"]["done"]) == ("done", 4)


@pytest.mark.parametrize(
    "drops", [{"most": 1}, {"most": 2}, {"seconds": 1}], ids=["each", "second", "each second"]
)
def test_who_drops_again_and_again_gets_each_event_exactly_once(
    farm: Farm, two: tuple[Instance, Instance], key: dict[str, str], drops: dict[str, int]
) -> None:
    run = created(two[0], key)
    follower = Follower(f"/runs/{run}/events", key)
    turns = 0
    while not follower.ended:
        follower.take(two[turns % 2].url, **drops)
        turns += 1
    assert turns > 2
    assert follower.ids == stream_of(farm, run)
    assert len(set(follower.ids)) == len(follower.ids)


def test_an_instance_that_is_told_to_end_ends_its_streams_first(
    farm: Farm, two: tuple[Instance, Instance], key: dict[str, str]
) -> None:
    with api_on(farm.castline) as leaving:
        run = created(leaving, key)
        follower = Follower(f"/runs/{run}/events", key)
        headers = dict(key)
        with httpx.stream(
            "GET", leaving.url + follower.path, headers=headers, timeout=60
        ) as answer:
            leaving.process.terminate()
            answer.read()
        assert leaving.process.wait(timeout=30) in (-15, 143)
    follower.take(two[0].url)
    assert follower.ids == stream_of(farm, run)


def test_one_key_at_two_instances_makes_one_run(
    farm: Farm, two: tuple[Instance, Instance], key: dict[str, str]
) -> None:
    again = {"Idempotency-Key": "both"}
    run = created(two[0], key, **again)
    assert created(two[1], key, **again) == run


def test_a_discussion_of_one_instance_is_followed_at_the_other(
    two: tuple[Instance, Instance], key: dict[str, str]
) -> None:
    body = {"topic": "Clock towers", "roles": ["critic"], "rounds": 2}
    answer = httpx.post(f"{two[0].url}/discussions", json=body, headers=key)
    follower = Follower(f"/discussions/{answer.json()['session']}/events", key)
    while not follower.ended:
        follower.take(two[len(follower.events) % 2].url, most=1)
    assert [event["kind"] for event in follower.events] == [
        "state", "turn", "turn", "summary", "state",
    ]  # fmt: skip


def test_topics_are_analysed_while_one_waits_and_read_at_the_other_instance(
    two: tuple[Instance, Instance], key: dict[str, str]
) -> None:
    body = {"topics": ["Night trains", "Clock towers", "Night trains"], "concurrency": 2}
    answer = httpx.post(f"{two[0].url}/analyze", json=body, headers=key, timeout=120)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert [r["topic"] for r in told["results"] if r["success"]] == ["Night trains", "Clock towers"]
    assert told["summary"]["successful_tasks"] == 2
    for path in (f"/analyses/{told['run_id']}", f"/runs/{told['run_id']}"):
        seen = httpx.get(two[1].url + path, headers=key).json()
        assert seen["state"] == "done"


def test_a_revoked_key_is_refused_everywhere_at_once(
    farm: Farm, two: tuple[Instance, Instance]
) -> None:
    made = farm.castline.json("api-key", "create", "short-lived")
    header = {"Authorization": f"Bearer {made['key']}"}
    assert {httpx.get(f"{i.url}/runs", headers=header).status_code for i in two} == {200}
    assert farm.castline.json("api-key", "revoke", made["id"])["revoked_ms"]
    assert {httpx.get(f"{i.url}/runs", headers=header).status_code for i in two} == {401}
    listed = farm.castline.run("api-key", "list")
    assert re.search(rf"{made['id']}.*revoked", listed.stdout)
    assert farm.castline.run("api-key", "revoke", "nobody").returncode == 2


def test_the_lines_of_the_documentation_run_as_they_stand(
    farm: Farm, two: tuple[Instance, Instance], token: str, key: dict[str, str]
) -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    blocks = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("curl")]
    assert len(lines) >= 16
    variables = {**os.environ, "CASTLINE_API_KEY": token}
    for line in lines:
        command = line.replace("http://127.0.0.1:8000", two[0].url)
        done = subprocess.run(
            ["bash", "-uc", f"{command} --fail-with-body"],  # noqa: S607  # as a reader does
            env=variables,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        for name, field in (("RUN", "run_id"), ("SESSION", "session"), ("ANALYSIS", "run_id")):
            found = re.search(rf'"{field}":"([^"]+)"', done.stdout)
            if found and (name != "ANALYSIS" or "/analyses " in line):
                variables.setdefault(name, found[1])


def test_the_log_of_an_instance_has_no_prompt_and_no_key(
    farm: Farm, two: tuple[Instance, Instance], token: str, key: dict[str, str]
) -> None:
    run = created(two[0], key)
    httpx.get(f"{two[1].url}/runs/{run}", headers=key)
    httpx.get(f"{two[0].url}/runs?key={token}")
    log = two[0].log.read_text()
    assert "POST /runs 202" in log
    assert "GET /runs 401" in log

    def shipped() -> str:
        done = farm.castline.run("logs", "--run", run, "--service", "api-", "--grep", "key=")
        return done.stdout if f"GET /runs/{run} 200" in done.stdout else ""

    log += str(wait_for("the other instance's line in the run's log", shipped))
    for secret in ("hush-hush", token, token.split("_", 2)[2]):
        assert secret not in log


def test_several_processes_share_a_port_and_one_that_is_killed_is_replaced(
    farm: Farm, key: dict[str, str]
) -> None:
    with api_on(farm.castline, workers=2) as api:
        parent = psutil.Process(api.process.pid)

        def family() -> list[psutil.Process]:
            found = []
            for child in parent.children():
                with contextlib.suppress(psutil.Error):  # it has gone, or is a zombie
                    found += [child] if "spawn_main" in " ".join(child.cmdline()) else []
            return found

        first, second = wait_for("two processes", lambda: len(family()) == 2 and family())
        run = created(api, key)
        first.kill()
        wait_for("another one", lambda: len(family()) == 2 and first not in family())
        assert second in family()
        follower = Follower(f"/runs/{run}/events", key)
        while not follower.ended:
            follower.take(api.url)
        assert follower.ids == stream_of(farm, run)
        gone = family()
        api.process.terminate()
        assert api.process.wait(timeout=30) == -15
        assert not [process for process in gone if process.is_running()]
    assert "Traceback" not in api.log.read_text()
    gone = []
    with api_on(farm.castline, workers=2) as api:
        gone = psutil.Process(api.process.pid).children()
        api.process.kill()
        psutil.wait_procs(gone, timeout=30)
    assert not [process for process in gone if process.is_running()], "orphans are left"


def test_headers_without_end_are_refused_before_they_fill_the_memory(
    two: tuple[Instance, Instance],
) -> None:
    port = int(two[0].url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Endless: " + b"a" * 400_000)
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


def test_a_port_that_is_taken_is_said(farm: Farm, two: tuple[Instance, Instance]) -> None:
    port = two[0].url.rpartition(":")[2]
    for workers in ("1", "2"):
        refused = farm.castline.run("api", "--port", port, "--workers", workers)
        assert refused.returncode == 2, refused.stderr
        assert f"port {port}" in refused.stderr
        assert "--port" in refused.stderr


def test_an_instance_outlives_its_redis(tmp_path: Path) -> None:
    with farm_in(tmp_path) as farm:
        made = farm.castline.json("api-key", "create", "test")
        header = {"Authorization": f"Bearer {made['key']}"}
        with api_on(farm.castline) as api:
            answer = httpx.post(f"{api.url}/runs", json=BODY, headers=header)
            assert answer.json()["type"] == "urn:castline:no-worker"
            farm.store.kill()
            for path in ("/runs", "/ready", "/limits"):
                answer = httpx.get(api.url + path, headers=header, timeout=60)
                assert (answer.status_code, answer.headers["content-type"]) == (
                    503,
                    "application/problem+json",
                )
                assert int(answer.headers["retry-after"]) > 0
            assert httpx.get(f"{api.url}/health").status_code == 200
            farm.store.start()
            wait_for(
                "the API to be ready", lambda: httpx.get(f"{api.url}/ready").status_code == 200
            )
            assert httpx.get(f"{api.url}/runs", headers=header).status_code == 200
