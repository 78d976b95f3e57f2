"""Workers that are killed or frozen: their work goes on elsewhere and is paid once."""

import signal
import time

import pytest

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
    slowest, held = 0.0, 0
    for kill in range(10 if size.long else 2):
        site.kill(site.supervised("llm"))
        held += slots_are_back(site)
        slowest = max(slowest, site.working_again(limit_s=site.lease_s + 15))
        if size.long:
            time.sleep(10)  # the scenario's own rhythm
        else:
            site.answered(size.calls * (kill + 1) // 3)
    site.finished(run_id)
    assert held > 0, "no kill met a call"
    assert site.provider.rejected() == 0
    verdict = judge(site, run_id, scenario="1 LLM worker killed", recovery_s=slowest)
    assert verdict.failed == verdict.quarantined == 0
    assert site.castline.json("limits")["providers"][0]["slots_in_use"] == 0


def slots_are_back(site: Farm) -> int:
    """Wait, a lease at most, for what the dead worker held; returns how many slots that was."""
    held = site.slots()
    wait_for("its slots to be back", lambda: not held & site.slots(), limit_s=site.lease_s)
    return len(held)


def test_messages_sent_to_a_frozen_worker_are_sent_again_after_it_is_killed(
    farm: Start, size: Size
) -> None:
    site = farm()
    worker = site.supervised("llm")
    wait_for("the worker to listen", lambda: site.consumes(worker.pid))
    client = site.store.client()
    personas = 2 * size.personas
    submitting = site.submitting(personas=personas, tweets=size.tweets // 2)
    wait_for("the rows to be written", lambda: client.zcard("castline:runs"))
    worker.send_signal(signal.SIGSTOP)  # while it waits for a message: the first one is lost
    run_id = site.submitted(submitting)
    begun = time.monotonic()
    site.kill(worker)
    tries = f"castline:run:{run_id}:tries"
    wait_for(
        "every character to begin",
        lambda: begun_characters(client.hkeys(tries)) == set(range(personas)),
        limit_s=RESENT_WITHIN_S,
    )
    recovery_s = time.monotonic() - begun
    site.finished(run_id)
    verdict = judge(site, run_id, scenario="2 idle worker frozen, killed", recovery_s=recovery_s)
    assert verdict.done == verdict.steps


def begun_characters(steps: list[str]) -> set[int]:
    """List the characters whose first steps have been claimed."""
    return {StepName.parse(step).persona for step in steps}
