"""A Redis at its maxmemory: who submits hears it, and what was under way goes on after relief."""

import time

import pytest

from tests.chaos.conftest import Size, Start
from tests.chaos.judge import judge

pytestmark = pytest.mark.integration


def test_a_full_redis_refuses_runs_visibly_and_loses_nothing(farm: Start, size: Size) -> None:
    site = farm()
    run_id = site.submit(personas=size.personas, tweets=size.tweets)
    site.answered(size.slots)
    client = site.store.client()
    site.fault()
    client.config_set("maxmemory", client.info("memory")["used_memory"])
    refused = site.castline.run("run", "--text", "Somebody else.", "--tweets", "1")
    assert refused.returncode == 69
    assert "Redis has no room" in refused.stderr
    assert "maxmemory" in refused.stderr
    status = site.castline.json("status")
    assert status["memory"]["warn"]
    time.sleep(30 if size.long else 3)  # the fault itself
    client.config_set("maxmemory", 0)
    site.fault()
    recovery_s = site.working_again(limit_s=120)
    site.finished(run_id)
    verdict = judge(site, run_id, scenario="9 Redis full", recovery_s=recovery_s)
    assert verdict.done == verdict.steps
    assert [line["run_id"] for line in site.castline.json("runs")["runs"]] == [run_id]
