"""Redis that dies, hangs up or cannot be reached: work goes on by itself and is paid once."""

import time
from pathlib import Path

import pytest

from tests.castline import wait_for
from tests.chaos.conftest import Size, Start
from tests.chaos.farm import Store
from tests.chaos.fault_proxy import proxied
from tests.chaos.judge import judge

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("spare", [False, True], ids=["full", "with free slots"])
@pytest.mark.parametrize("away_s", [5, 60])
def test_work_goes_on_after_redis_was_killed(
    farm: Start, size: Size, away_s: int, spare: bool
) -> None:
    if not size.long and away_s > 5:
        pytest.skip("a minute without Redis is in `make chaos`")
    threads = 64 if spare else size.personas - 1  # a character's stages are one message at a time
    site = farm(slots=size.slots * (10 if spare else 1), CASTLINE_LLM_CONCURRENCY=str(threads))
    run_id = site.submit(personas=size.personas, tweets=size.tweets)
    site.answered(size.slots)
    worker = site.supervised("llm")
    busy = range(1, threads) if spare else range(threads, threads + 1)
    wait_for("the worker to be " + ("at work" if spare else "full"), lambda: site.taken() in busy)
    site.fault()
    site.store.kill()
    time.sleep(away_s if size.long else 2)  # the fault itself
    site.store.start()
    site.fault()
    recovery_s = site.working_again(limit_s=15)
    site.finished(run_id)
    name = f"3 Redis killed, away {away_s} s, {'free slots' if spare else 'full'}"
    verdict = judge(site, run_id, scenario=name, recovery_s=recovery_s)
    assert verdict.failed == verdict.quarantined == 0
    assert site.supervised("llm").pid == worker.pid, "the worker ended"


def test_connections_that_are_killed_cost_no_second_call(farm: Start, size: Size) -> None:
    site = farm(**size.slow)
    run_id = site.submit(personas=size.personas, tweets=size.tweets)
    client = site.store.client()
    site.answered(size.slots)
    for kill in range(12 if size.long else 3):
        if size.long:
            time.sleep(5)  # the scenario's own rhythm
            assert client.hget(f"castline:run:{run_id}", "state") == "running"
        else:
            site.answered(size.calls * (kill + 1) // 5)
        client.execute_command("CLIENT", "KILL", "TYPE", "normal")
        client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    site.finished(run_id)
    verdict = judge(site, run_id, scenario="4 all connections killed")
    assert verdict.done == verdict.steps
    assert verdict.paid_twice == 0


def test_a_network_that_swallows_everything_is_outlived_within_the_limits(
    farm: Start, size: Size, tmp_path: Path
) -> None:
    store = Store(tmp_path / "valkey")
    store.start()
    with proxied(store.port) as network:
        site = farm(store=store, redis_port=network.port, **size.outlived)
        run_id = site.submit(personas=size.personas, tweets=size.tweets)
        site.answered(size.slots)
        site.fault()
        network.blackhole()
        time.sleep(90 if size.long else 10)  # the fault itself
        network.heal()
        site.fault()
        recovery_s = site.working_again(limit_s=60)
        site.finished(run_id)
        verdict = judge(site, run_id, scenario="5 network swallows all", recovery_s=recovery_s)
        assert verdict.failed == verdict.quarantined == 0
        assert site.provider.rejected() == 0
        site.down()  # while the network is there


def test_a_slow_network_that_breaks_now_and_then_costs_no_second_call(
    farm: Start, size: Size, tmp_path: Path
) -> None:
    store = Store(tmp_path / "valkey")
    store.start()
    with proxied(store.port) as network:
        site = farm(store=store, redis_port=network.port)
        run_id = site.submit(personas=size.personas, tweets=size.tweets)
        network.delay(0.02)
        for part in range(1, 4):
            site.answered(size.calls * part // 4)
            assert network.cut() > 0
        site.finished(run_id)
        verdict = judge(site, run_id, scenario="4 slow network, cut three times")
        assert verdict.done == verdict.steps
        assert verdict.paid_twice == 0
        site.down()
