"""What must be true after every fault, and the row of the report."""

import json
import os
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.chaos.farm import Farm

SETTLED = {"done", "failed", "cancelled", "quarantined"}
LONGEST_IN_HAND_S = 1.0
STRIKES_WITHIN_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One run under one fault. `paid` counts granted calls, `paid_twice` those made before.

    `allowed` counts what was in flight at the faults, `counted` the calls that the run knows of.
    """

    scenario: str
    steps: int
    done: int
    failed: int
    quarantined: int
    lost: int
    paid: int
    paid_twice: int
    allowed: int
    counted: int
    recovery_s: float | None
    seconds: float

    def report(self) -> None:
        """Append the row to the file that CASTLINE_CHAOS_REPORT names."""
        if path := os.environ.get("CASTLINE_CHAOS_REPORT"):
            with Path(path).open("a") as file:
                file.write(json.dumps(asdict(self)) + "\n")


def judge(farm: Farm, run_id: str, *, scenario: str, recovery_s: float | None = None) -> Verdict:
    """Check what holds after every fault, on a run that has ended; returns its row.

    Every step ended; one document for each that is done and none for others; each step was done
    once, so every chord's body and every assembly; paid twice is at most what was in flight (being
    made, or answered and not yet stored) when a fault happened, each of those calls itself, and no
    call is counted that was not made.
    """
    client = farm.store.client()
    key = f"castline:run:{run_id}"
    states: dict[str, str] = client.hgetall(f"{key}:state")
    count = Counter(states.values())
    calls = farm.provider.calls()
    keys = {call["idempotency_key"] for call in calls}
    run = client.hgetall(key)
    verdict = Verdict(
        scenario=scenario,
        steps=len(states),
        done=count["done"],
        failed=count["failed"],
        quarantined=count["quarantined"],
        lost=sum(state not in SETTLED for state in states.values()),
        paid=len(calls),
        paid_twice=len(calls) - len(keys),
        allowed=sum(
            is_in_flight(call, moment, in_hand_s=farm.in_hand_s)
            for moment in farm.faults_at
            for call in calls
        ),
        counted=int(float(run["calls_made"]) - float(run.get("calls_retried", 0))),
        recovery_s=recovery_s,
        seconds=(int(run["finished_ms"]) - int(run["created_ms"])) / 1000,
    )
    verdict.report()
    assert verdict.lost == 0, Counter(states.values())
    assert run["state"] == "finished"
    assert int(run["open"]) == 0
    done = {step for step, state in states.items() if state == "done"}
    assert set(client.hkeys(f"{key}:docs")) == done
    assert done_twice(client, key) == []
    assert verdict.paid_twice <= verdict.allowed, verdict
    assert paid_again_for_nothing(calls, farm.faults_at) == []
    assert verdict.counted <= verdict.paid, verdict
    return verdict


def done_twice(client: Any, key: str) -> list[str]:
    """List the steps whose end was told more than once."""
    told = Counter(
        fields["step"]
        for _, fields in client.xrange(f"{key}:events")
        if fields["step"] and fields["state"] in SETTLED
    )
    return [step for step, times in told.items() if times > 1]


def paid_again_for_nothing(calls: list[dict[str, Any]], faults_at: list[float]) -> list[str]:
    """List the calls that were paid again although no fault met them in flight."""
    last: dict[str, dict[str, Any]] = {}
    found = []
    for call in sorted(calls, key=lambda call: float(call["at"])):
        key = call["idempotency_key"]
        if key in last and not any(
            is_in_flight(last[key], moment, in_hand_s=LONGEST_IN_HAND_S) for moment in faults_at
        ):
            found.append(key)
        last[key] = call
    return found


def is_in_flight(call: dict[str, Any], moment: float, *, in_hand_s: float) -> bool:
    """Whether a call was being made at a fault, or its answer was in hand for so long at most."""
    ended_at = call["at"] + call["seconds"]
    return bool(call["at"] - STRIKES_WITHIN_S <= moment <= ended_at + in_hand_s)
