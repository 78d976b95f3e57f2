"""The pure arithmetic of a plan's rows: what follows what, and what a retry reopens."""

import json
from collections.abc import Collection, Mapping, Sequence

from tasks.schemas.calls import CallUsage
from tasks.schemas.ledger import RunSnapshot
from tasks.schemas.plan import GATHERS, SETTLED, RunPlan, StepRow, StepState

COUNTERS = (
    "calls_made",
    "calls_retried",
    "calls_cached",
    "tokens_prompt",
    "tokens_completion",
    "cost_usd",
    "call_seconds",
)


def increments(usage: CallUsage) -> list[str | float]:
    """List a usage's parts as the run's counter fields and their increments; zeros are left out."""
    values = (
        usage.made,
        usage.retried,
        usage.cached,
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.cost_usd,
        usage.seconds,
    )
    named = zip(COUNTERS, values, strict=True)
    return [part for name, value in named if value for part in (name, value)]


def dependents(rows: Sequence[StepRow]) -> dict[str, str]:
    """Turn what each step needs into what follows each step, as JSON lists.

    A leading `?` marks a dependent that goes on even when this step fails.
    """
    after: dict[str, list[str]] = {}
    for row in rows:
        for needed in row.needs:
            soft = "?" if row.kind in GATHERS else ""
            after.setdefault(needed, []).append(soft + row.id)
    return {step: json.dumps(names) for step, names in after.items()}


def held_back(rows: Sequence[StepRow], window: int) -> list[str]:
    """List the first steps of all characters, or topics, beyond the first `window` (0 = none).

    A character's is its first stage, or with a card given its calendar.
    """
    begins = ("stage", "search", "calendar")
    first = [row.id for row in rows if row.kind in begins and not row.needs]
    return first[window:] if window else []


def initial(row: StepRow, plan: RunPlan) -> StepState:
    """State of a row before anything happened."""
    return "done" if row.id in plan.documents else "waiting"


def open_needs(row: StepRow, plan: RunPlan) -> int:
    """Count what a row waits for."""
    return sum(1 for needed in row.needs if needed not in plan.documents)


def unsuccessful(snapshot: RunSnapshot, only: Collection[str] = ()) -> list[str]:
    """List the steps that ended without a document, and the ended collects above them.

    With `only`, these steps and what could not happen without them.
    """
    bad = {s for s, state in snapshot.states.items() if state in SETTLED and state != "done"}
    if only:
        bad = with_dependents(set(only) & bad, bad, snapshot.rows)
    ended = {s for s in collects_above(snapshot, bad) if snapshot.states[s] in SETTLED}
    return sorted(bad | ended)


def with_dependents(
    chosen: set[str], among: Collection[str], rows: Mapping[str, StepRow]
) -> set[str]:
    """Add the steps that need a chosen one, however far behind it."""
    found = set(chosen)
    while more := {s for s in among if s not in found and found.intersection(rows[s].needs)}:
        found |= more
    return found


def collects_above(snapshot: RunSnapshot, steps: Collection[str]) -> set[str]:
    """Find the collects that gather any of these steps."""
    again = set(steps)
    return {
        step
        for step, row in snapshot.rows.items()
        if row.kind == "collect" and again.intersection(row.needs)
    }
