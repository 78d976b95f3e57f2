"""Judges the load: pure arithmetic over backlog, pace, limits and thresholds."""

import math
from collections.abc import Iterable

from producer.duration import about_text
from tasks.errors import OverloadedError
from tasks.routing import Priority
from tasks.schemas.limits import GateState
from tasks.schemas.load import Backlog, Load, LoadState, Pace, Thresholds

SOONEST_S, LATEST_S = 5.0, 3600.0


def calls_per_s(gates: Iterable[GateState], pace: Pace) -> float:
    """Estimate how many calls a second these providers allow: by slots, requests and tokens."""
    return sum(min(*rates_of(gate, pace)) for gate in gates)


def rates_of(gate: GateState, pace: Pace) -> tuple[float, ...]:
    """Calls a second that each limit of a provider allows; no limit is infinity."""
    return (
        gate.slots_now / pace.seconds_a_call,
        gate.rpm / 60 if gate.rpm else math.inf,
        gate.tpm / 60 / pace.tokens_a_call if gate.tpm and pace.tokens_a_call else math.inf,
    )


def assess(backlog: Backlog, thresholds: Thresholds, *, rate: float) -> Load:
    """Judge a backlog that drains at `rate` calls a second (0 = nobody calls)."""
    return Load(
        state=state_of(backlog.total, thresholds),
        interactive_state=state_of(backlog.interactive, thresholds),
        queued_calls=backlog.total,
        interactive_calls=backlog.interactive,
        drain_s=drain_s(backlog.total, rate),
        interactive_drain_s=drain_s(backlog.interactive, rate),
        high_calls=thresholds.high,
        most_calls=thresholds.most,
    )


def state_of(calls: int, thresholds: Thresholds) -> LoadState:
    """Name the state of so many queued calls."""
    if calls >= thresholds.most:
        return "overloaded"
    return "high" if calls >= thresholds.high else "low"


def drain_s(calls: int, rate: float) -> float | None:
    """Estimate how long calls take; None when nobody makes any."""
    if not calls:
        return 0.0
    return round(calls / rate, 1) if rate > 0 else None


def met_by(load: Load, priority: Priority) -> tuple[LoadState, int, float | None]:
    """What a run of a priority meets: the state, the calls before it, and how long they take."""
    if priority == "interactive":
        return load.interactive_state, load.interactive_calls, load.interactive_drain_s
    return load.state, load.queued_calls, load.drain_s


def retry_after_s(load: Load, priority: Priority) -> float:
    """Estimate when the queue is short enough for another run: 5 s to an hour."""
    _, calls, drains_s = met_by(load, priority)
    if not calls or drains_s is None:
        return 60.0
    above = max(1, calls - load.most_calls + 1)
    return min(LATEST_S, max(SOONEST_S, math.ceil(drains_s * above / calls)))


def queue_text(calls: int, drains_s: float | None) -> str:
    """Write a queue's length and how long it takes; an empty one takes no time."""
    if not calls:
        return "no model calls are queued"
    work = "nobody makes them now" if drains_s is None else f"{about_text(drains_s)} of work"
    return f"{calls:,} model calls are queued, {work}"


def overloaded(load: Load, priority: Priority) -> OverloadedError:
    """Build the refusal that tells length, drain time and what to do."""
    _, calls, drains_s = met_by(load, priority)
    again_s = retry_after_s(load, priority)
    sooner = ", or submit it as interactive" if load.interactive_state != "overloaded" else ""
    return OverloadedError(
        f"overloaded: {queue_text(calls, drains_s)}; this run was not taken",
        queued_calls=calls,
        drain_s=drains_s,
        retry_after_s=again_s,
        hint=f"try again in {about_text(again_s)}, cancel a run (`castline runs`), or raise "
        f"CASTLINE_QUEUE_MOST_CALLS (now {load.most_calls:,}){sooner}",
    )
