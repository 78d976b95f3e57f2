"""Poison among healthy work: it is set aside, and nobody else notices."""

import json

import pytest

from tests.castline import wait_for
from tests.chaos.conftest import Size, Start
from tests.chaos.farm import Farm
from tests.chaos.judge import judge
from tests.chaos.poison import POISON, message

pytestmark = pytest.mark.integration

LATEST_S = 2.0
QUEUES = ("llm.1-interactive.1-chain", "llm.1-interactive.2-rest", "llm.2-batch.2-rest")


def test_poison_is_set_aside_and_healthy_work_goes_on(farm: Start, size: Size) -> None:
    site = farm()
    worker = site.supervised("llm")
    wait_for("the worker to listen", lambda: site.consumes(worker.pid))
    client = site.store.client()
    run_id = site.submit(personas=size.personas, tweets=size.tweets)
    for queue in QUEUES:
        for raw in POISON.values():
            client.rpush(queue, raw)
    site.finished(run_id)
    pause_s = site.longest_pause()
    verdict = judge(site, run_id, scenario="7 poison (longest pause)", recovery_s=pause_s)
    assert verdict.done == verdict.steps
    assert verdict.paid_twice == 0
    assert pause_s < LATEST_S or not size.long
    assert site.supervised("llm").pid == worker.pid, "the worker ended"
    counted = site.castline.json("status")["quarantine"]
    assert counted == {"messages": len(POISON) * 3, "steps": 0, "dropped_messages": 0}


def test_what_is_in_quarantine_is_shown_sent_again_and_dropped(farm: Start) -> None:
    site = farm()
    client = site.store.client()
    client.rpush(QUEUES[0], POISON["body is 5"])
    client.rpush(QUEUES[1], json.dumps(message(task="persona.soul")).encode())
    quarantined = wait_for(
        "two entries",
        lambda: (
            len(entries := site.castline.json("quarantine", "list")["entries"]) == 2 and entries
        ),
    )
    wrong = {entry["reason"]: entry["id"] for entry in quarantined}
    soul = wrong["headers.task is no task of this worker"]
    shown = site.castline.run("quarantine", "show", soul)
    assert "persona.soul" in shown.stdout
    assert site.castline.run("quarantine", "show", "nothing").returncode == 2
    assert site.castline.run("quarantine", "retry").returncode == 2
    assert site.castline.run("quarantine", "drop", "--all").returncode == 2, "nobody confirmed it"
    again = site.castline.json("quarantine", "retry", soul)
    assert again == {"messages": [soul], "steps": []}
    wait_for("it to be back: it is as wrong as before", lambda: len(entries(site)) == 2)
    dropped = site.castline.json("quarantine", "drop", "--all", "--yes")
    assert set(dropped["messages"]) == set(wrong.values())
    assert entries(site) == []


def entries(site: Farm) -> list[dict[str, str]]:
    """List what is in quarantine."""
    return list(site.castline.json("quarantine", "list")["entries"])
