"""How a run stands: counts and failures from a snapshot of the ledger; pure."""

from collections.abc import Iterable

from tasks.schemas.ledger import RunSnapshot
from tasks.schemas.plan import RunState
from tasks.schemas.status import CallCounts, FailureLine, ItemCounts, RunStatus, TokenCounts
from tasks.schemas.steps import StepName

BAD = frozenset({"failed", "quarantined", "cancelled"})
MADE = frozenset({"tweet", "picture", "turn", "analysis"})


def standing(snapshot: RunSnapshot, *, out: str | None = None) -> RunStatus:
    """Sum a snapshot up as the JSON of section 8."""
    ended = snapshot.finished_ms or snapshot.now_ms
    count = snapshot.counters
    return RunStatus(
        run_id=snapshot.run_id,
        state=run_state(snapshot),
        personas=counts(snapshot, steps_of(snapshot, "assemble")),
        tweets=counts(snapshot, (s for s, r in snapshot.rows.items() if r.kind == "tweet")),
        images=counts(snapshot, (s for s, r in snapshot.rows.items() if r.kind == "picture")),
        calls=CallCounts(
            made=int(count.get("calls_made", 0)),
            retried=int(count.get("calls_retried", 0)),
            cached=int(count.get("calls_cached", 0)),
        ),
        tokens=TokenCounts(
            prompt=int(count.get("tokens_prompt", 0)),
            completion=int(count.get("tokens_completion", 0)),
        ),
        seconds=round((ended - snapshot.created_ms) / 1000, 3),
        out=out or snapshot.request.out or None,
        failures=failures(snapshot),
        batch=snapshot.batch,
        topics=counts(snapshot, steps_of(snapshot, "analyze"))
        if snapshot.request.analysis
        else None,
    )


def steps_of(snapshot: RunSnapshot, part: str) -> list[str]:
    """List the steps that do one part, over all characters."""
    return [step for step in snapshot.rows if StepName.parse(step).part == part]


def counts(snapshot: RunSnapshot, steps: Iterable[str]) -> ItemCounts:
    """Count the states of these steps."""
    states = [snapshot.states.get(step, "waiting") for step in steps]
    return ItemCounts(
        total=len(states),
        done=sum(state == "done" for state in states),
        failed=sum(state in BAD for state in states),
    )


def run_state(snapshot: RunSnapshot) -> RunState:
    """Name the state of the whole: a finished run is done, partial, failed or cancelled."""
    if snapshot.state == "submitting":
        return "submitting"
    if snapshot.state != "finished":
        return "running"
    states = list(snapshot.states.values())
    if snapshot.cancelled and "cancelled" in states:
        return "cancelled"
    if all(state == "done" for state in states):
        return "done"
    made = [
        step
        for step, row in snapshot.rows.items()
        if row.kind in MADE or StepName.parse(step).part == "assemble"
    ]
    return "partial" if any(snapshot.states[step] == "done" for step in made) else "failed"


def failures(snapshot: RunSnapshot) -> tuple[FailureLine, ...]:
    """List the steps that failed by themselves, not those that failed with them."""
    bad = [s for s in snapshot.rows if snapshot.states[s] in BAD and s in snapshot.errors]
    return tuple(
        FailureLine(
            item=snapshot.rows[step].item,
            stage=stage_label(step),
            error=snapshot.errors[step],
        )
        for step in bad
    )


def stage_label(step: str) -> str:
    """Name what a step does, as a user reads it."""
    name = StepName.parse(step)
    if name.is_tweet:
        return "tweet"
    if name.is_turn:
        return "turn"
    if name.slot:
        return "picture"
    return name.part
