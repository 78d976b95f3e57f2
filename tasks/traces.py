"""Opens and ends the traces of runs; what hangs below them is traced where it happens.

The producer opens a run's trace, upkeep ends it: the command may be gone by then.
"""

from tasks.deps import Deps
from tasks.llm import tracing
from tasks.schemas.plan import Request
from tasks.store import keys
from tasks.store.rows import COUNTERS

FINISHED = "finished"


async def open_trace(deps: Deps, run_id: str, request: Request, *, steps: int) -> None:
    """Open the trace of a run that is about to be accepted, or opened again."""
    if tracing.enabled():
        await deps.redis.sadd(keys.TRACES, run_id)
        tracing.begin_run(run_id, kind=request.kind, steps=steps)


async def end_traces(deps: Deps) -> None:
    """End the traces of runs that have finished, or have expired."""
    if not tracing.enabled():
        return
    for run_id in await deps.redis.smembers(keys.TRACES):
        state, *counts = await deps.redis.hmget(keys.RunKeys(run_id).run, ["state", *COUNTERS])
        if state in (None, FINISHED):  # None: the run has expired
            outputs = {
                name: float(count or 0) for name, count in zip(COUNTERS, counts, strict=True)
            }
            tracing.end_run(run_id, outputs)
            await deps.redis.srem(keys.TRACES, run_id)
