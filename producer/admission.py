"""Admits a run, or refuses it: reads backlog, pace and limits; `producer.load` judges them."""

import asyncio

from producer.load import assess, calls_per_s, overloaded
from tasks.deps import Deps
from tasks.observing.gates import live_gates
from tasks.schemas.load import Backlog, Load, Thresholds
from tasks.schemas.plan import RunPlan


async def admit(deps: Deps, plan: RunPlan) -> Load:
    """Reserve a run's place in the queue; returns the load that it meets.

    Nothing is written but the reservation, which is forgotten unless rows follow within a minute.
    Raises OverloadedError when too much is queued before it.
    """
    most = deps.settings.queue_most_calls
    admitted, backlog = await deps.backlog.admit(plan, most=most)
    load = await judged(deps, backlog)
    if not admitted:
        raise overloaded(load, plan.request.priority)
    return load


async def look(deps: Deps) -> Load:
    """Read the load now."""
    return await judged(deps, await deps.backlog.look())


async def judged(deps: Deps, backlog: Backlog) -> Load:
    """Judge a backlog by this process's thresholds and what the live providers allow."""
    settings = deps.settings
    thresholds = Thresholds(high=settings.queue_high_calls, most=settings.queue_most_calls)
    pace, gates = await asyncio.gather(deps.backlog.pace(), live_gates(deps))
    return assess(backlog, thresholds, rate=calls_per_s(gates, pace))
