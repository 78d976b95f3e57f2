"""What open runs still have to call, and whether another run may join them.

The scripts of the ledger count each run's calls down as its steps settle; here they are added up.
"""

from functools import lru_cache
from importlib.resources import files

from tasks.connection import TextRedis
from tasks.pipelining import Pipelining, Script
from tasks.routing import rank_of
from tasks.schemas.load import Backlog, Pace
from tasks.schemas.plan import RunPlan
from tasks.store import keys

UNWRITTEN_MS = 60_000
RUNS_LOOKED_AT = 20
USUAL = Pace(seconds_a_call=3.0, tokens_a_call=2000.0)


@lru_cache
def source() -> str:
    """Read the script."""
    return files("tasks.store").joinpath("lua").joinpath("admit.lua").read_text()


class BacklogBook:
    """The backlog of all open runs on one Redis."""

    def __init__(self, redis: TextRedis) -> None:
        self._redis = redis
        self._admit = Script(Pipelining(redis), source())

    async def look(self) -> Backlog:
        """Add up the calls that open runs still have to make."""
        _, interactive, batch = await self._admit(
            [keys.LOAD], [f"{keys.PREFIX}:run:", UNWRITTEN_MS, "", 0, 0, 0]
        )
        return Backlog(interactive=interactive, batch=batch)

    async def admit(self, plan: RunPlan, *, most: int) -> tuple[bool, Backlog]:
        """Reserve a run's place unless `most` calls are before it; returns what is before it.

        Calls of lower priority are not before it. A run that calls no model is always admitted, and
        so is any run, however large, while fewer than `most` are queued. A reservation that is not
        followed by rows within a minute is forgotten; the same run may be admitted again.
        """
        calls = plan.calls
        arguments = [rank_of(plan.request.priority), calls, most]
        admitted, interactive, batch = await self._admit(
            [keys.LOAD],
            [f"{keys.PREFIX}:run:", UNWRITTEN_MS, plan.run_id if calls else "", *arguments],
        )
        return bool(admitted) or not calls, Backlog(interactive=interactive, batch=batch)

    async def pace(self) -> Pace:
        """Average what a call took in the newest runs; a usual value before there is any."""
        ids = await self._redis.zrevrange(keys.RUNS, 0, RUNS_LOOKED_AT - 1)
        fields = [
            "calls_made",
            "calls_retried",
            "call_seconds",
            "tokens_prompt",
            "tokens_completion",
        ]
        async with self._redis.pipeline(transaction=False) as pipe:
            for run_id in ids:
                pipe.hmget(keys.RunKeys(run_id).run, fields)
            rows = await pipe.execute()
        made, retried, seconds, prompt, completion = (
            (sum(float(value or 0) for value in column) for column in zip(*rows, strict=True))
            if rows
            else (0.0,) * len(fields)
        )
        calls = made - retried
        if calls <= 0 or seconds <= 0:
            return USUAL
        return Pace(seconds_a_call=seconds / calls, tokens_a_call=(prompt + completion) / calls)
