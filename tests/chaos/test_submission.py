"""A submitter killed with -9: its run is wholly there, or incomplete and finished by a retry."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.castline import Castline, wait_for
from tests.chaos.conftest import Size, Start
from tests.chaos.farm import Farm
from tests.chaos.fault_proxy import proxied
from tests.chaos.judge import judge

pytestmark = pytest.mark.integration

DELAY_S, LONGER_DELAY_S = 0.02, 0.1
LOOK_EVERY_S = 0.01
Moment = Callable[[Any, str], Any]


def rows_come(client: Any, run_id: str) -> bool:
    """Some rows are there and the run is not open."""
    return bool(client.hlen(f"castline:run:{run_id}:rows"))


def is_open(client: Any, run_id: str) -> bool:
    """The run is accepted: from here on messages are sent."""
    return bool(client.hget(f"castline:run:{run_id}", "state") == "running")


def is_named(client: Any, run_id: str) -> bool:
    """The run's own hash is there, and perhaps nothing else."""
    return True


@pytest.mark.parametrize(
    "moment", [is_named, rows_come, is_open], ids=["before rows", "while rows", "while sending"]
)
def test_a_submission_that_is_killed_is_finished_and_leaves_no_orphan(
    farm: Start, size: Size, moment: Moment
) -> None:
    tweets, personas = 1, 60 if moment is rows_come else 15  # rows that take two scripts, or one
    if size.long:
        personas = 1000
    latency_s, slots = (0.05, 100) if size.long else (0.0, 40)
    site = farm(latency_s=latency_s, slots=slots, CASTLINE_TWEET_GROUP="10")
    run_id = killed_while_submitting(site, moment, personas=personas, tweets=tweets)
    state = {line["run_id"]: line["state"] for line in site.castline.json("runs")["runs"]}[run_id]
    if state == "incomplete":
        assert site.granted() == 0
        stopped = site.castline.run("watch", run_id)
        assert stopped.returncode == 2
        assert f"castline retry {run_id}" in stopped.stderr
        assert site.castline.json("status", run_id)["state"] == "incomplete"
        assert site.castline.json("retry", run_id, "--detach")["state"] == "running"
    else:
        assert moment is not is_named
        assert state == "running"
    site.finished(run_id)
    verdict = judge(site, run_id, scenario=f"11 submitter killed, {moment.__name__}")
    assert verdict.done == verdict.steps == personas * (11 + tweets - 1)
    assert verdict.paid_twice == 0
    assert orphans(site, run_id) == []


def test_an_incomplete_run_that_is_cancelled_leaves_nothing(farm: Start, size: Size) -> None:
    site = farm()
    run_id = killed_while_submitting(site, is_named, personas=60, tweets=1)
    removed = site.castline.json("cancel", run_id)
    assert removed == {"run_id": run_id, "cancelled_steps": 0, "removed": True}
    assert site.castline.json("runs")["runs"] == []
    assert list(site.store.client().scan_iter(f"*{run_id}*")) == []
    assert site.granted() == 0


def killed_while_submitting(site: Farm, moment: Moment, *, personas: int, tweets: int) -> str:
    """Submit through a slow network and kill the command at a moment; returns the run's id."""
    client = site.store.client()
    with proxied(site.store.port) as network:
        network.delay(DELAY_S)
        url = f"redis://127.0.0.1:{network.port}/0"
        variables = {**site.castline.variables, "CASTLINE_REDIS_URL": url}
        command = replace(site.castline, variables=variables)
        process = start(command, personas=personas, tweets=tweets)
        (run_id,) = wait_for(
            "the run", lambda: client.zrange("castline:runs", 0, -1), every_s=LOOK_EVERY_S
        )
        network.delay(LONGER_DELAY_S)  # a moment lasts for as long as several of these
        wait_for("the moment", lambda: moment(client, run_id), every_s=LOOK_EVERY_S)
        process.kill()
        process.communicate()
    assert process.returncode == -9
    return str(run_id)


def start(castline: Castline, *, personas: int, tweets: int) -> Any:
    """Start the command that submits."""
    return castline.start(
        *("run", "--text", "A keeper of clocks.", "--personas", str(personas)),
        *("--tweets", str(tweets), "--detach", "--out", "out"),
    )


def orphans(site: Farm, run_id: str) -> list[str]:
    """List what is left of an ended run besides keys that expire with it: dues, reservations."""
    client = site.store.client()
    left = [key for key in client.scan_iter("castline:run:*") if client.ttl(key) < 0]
    left += client.zrange("castline:due", 0, -1)
    left += [name for name in client.scan_iter("castline:run:*") if run_id not in name]
    return left
