"""Workers that are killed or frozen: their work goes on elsewhere and is paid once."""

import time

import psutil
import pytest

from tasks.routing import LLM_QUEUES
from tasks.schemas.steps import StepName
from tests.castline import wait_for
from tests.chaos.conftest import Size, Start
from tests.chaos.farm import Farm
from tests.chaos.judge import judge

pytestmark = pytest.mark.integration

RESENT_WITHIN_S = 6.0  # one of upkeep's periods and five seconds


def test_an_llm_worker_killed_again_and_again_costs_only_what_was_in_flight(
    farm: Start, size: Size
) -> None:
    site = farm(**size.slow)
    personas = 2 * size.personas if size.long else size.personas
    run_id = site.submit(personas=personas, tweets=size.tweets)
    site.answered(size.personas)
    slowest = 0.0
    for kill in range(10 if size.long else 2):
        site.kill(caught_at_work(site))
        slots_are_back(site)
        slowest = max(slowest, site.working_again(limit_s=site.lease_s + 15))
        if size.long:
            time.sleep(10)  # the scenario's own rhythm
        else:
            site.answered(size.calls * (kill + 1) // 3)
    site.finished(run_id)
    assert site.provider.rejected() == 0
    verdict = judge(site, run_id, scenario="1 LLM worker killed", recovery_s=slowest)
    assert verdict.failed == verdict.quarantined == 0
    assert site.castline.json("limits")["providers"][0]["slots_in_use"] == 0


def caught_at_work(site: Farm) -> psutil.Process:
    """Find the supervised worker and freeze it in the middle of a call."""
    worker = site.supervised("llm")

    def look() -> bool:
        worker.suspend()
        if site.slots():
            return True
        worker.resume()
        return False

    wait_for("a call under way", look)
    return worker


def slots_are_back(site: Farm) -> None:
    """Wait, a lease at most, for what the dead worker held."""
    held = site.slots()
    assert held, "no call was under way"
    wait_for("its slots to be back", lambda: not held & site.slots(), limit_s=site.lease_s)


def test_messages_sent_to_a_frozen_worker_are_sent_again_after_it_is_killed(
    farm: Start, size: Size
) -> None:
    site = farm()
    worker = site.supervised("llm")
    wait_for("the worker to listen", lambda: site.consumes(worker.pid))
    client = site.store.client()
    personas = 2 * size.personas
    run_id = swallowed_by(site, worker, personas=personas, tweets=size.tweets // 2)
    begun = time.monotonic()
    site.kill(worker)
    tries = f"castline:run:{run_id}:tries"
    wait_for(
        "every character to begin",
        lambda: begun_characters(client.hkeys(tries)) == set(range(personas)),
        limit_s=RESENT_WITHIN_S if size.long else 60,
    )
    recovery_s = time.monotonic() - begun
    site.finished(run_id)
    verdict = judge(site, run_id, scenario="2 idle worker frozen, killed", recovery_s=recovery_s)
    assert verdict.done == verdict.steps


def swallowed_by(site: Farm, worker: psutil.Process, *, personas: int, tweets: int) -> str:
    """Freeze an idle worker and submit a run of which it swallows a message; returns its id.

    Its request for a message is answered within a second, or lapses: then it is done again.
    """
    client = site.store.client()
    for known in range(10):
        submitting = site.submitting(personas=personas, tweets=tweets)
        wait_for("the rows to be written", lambda k=known: client.zcard("castline:runs") > k)
        worker.suspend()
        run_id = site.submitted(submitting)
        sent = client.hlen(f"castline:run:{run_id}:sent")
        if sum(map(client.llen, LLM_QUEUES)) < sent:
            return run_id
        worker.resume()
        assert site.castline.run("cancel", run_id).returncode == 0
    raise AssertionError("no message came while the frozen worker asked for one")


def begun_characters(steps: list[str]) -> set[int]:
    """List the characters whose first steps have been claimed."""
    return {StepName.parse(step).persona for step in steps}
