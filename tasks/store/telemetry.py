"""Log lines and counts of all processes in Redis: bounded streams, and a hash for each minute."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

from tasks.connection import TextRedis
from tasks.schemas.telemetry import LogLine
from tasks.store import keys
from tasks.store.reader import flatten

ALL_LINES, RUN_LINES = 20_000, 5_000
COUNTS_S = 25 * 3600
PAGE = 1000


async def ship(
    redis: TextRedis,
    lines: Sequence[tuple[str, str]],
    counts: Mapping[str, int],
    *,
    minute: int,
    retention_s: int,
) -> None:
    """Add lines (each with its run, "" = none) and counts, all or nothing, in one round trip.

    Lines of a run that is gone stay in the log of all. Counts are added to their minute and to the
    totals of all time.
    """
    of_run: dict[str, list[str]] = {}
    async with redis.pipeline(transaction=True) as pipe:
        for run, line in lines:
            entry: Any = {"line": line}
            pipe.xadd(keys.LOG, entry, maxlen=ALL_LINES, approximate=True)
            of_run.setdefault(run, []).append(line)
        of_run.pop("", None)
        for run, own in of_run.items():
            where = (keys.RunKeys(run).run, keys.run_log(run))
            pipe.eval(add_lines(), len(where), *where, RUN_LINES, retention_s, *own)
        for name, by in counts.items():
            pipe.hincrby(keys.counts(minute), name, by)
            pipe.hincrby(keys.TOTALS, name, by)
        if counts:
            pipe.expire(keys.counts(minute), COUNTS_S)
        await pipe.execute()


@lru_cache
def add_lines() -> str:
    """Read the script that adds lines to a run's log."""
    return files("tasks.store").joinpath("lua").joinpath("add_lines.lua").read_text()


async def note_sample(redis: TextRedis, values: Mapping[str, int], *, minute: int) -> None:
    """Note how things stand in one minute; later values of the same minute replace earlier ones."""
    async with redis.pipeline(transaction=True) as pipe:
        pipe.hset(keys.counts(minute), mapping=dict(values))
        pipe.expire(keys.counts(minute), COUNTS_S)
        await pipe.execute()


async def totals(redis: TextRedis) -> Counter[str]:
    """Read what all processes ever counted."""
    return Counter({name: int(value) for name, value in (await redis.hgetall(keys.TOTALS)).items()})


async def forget_older(redis: TextRedis, horizon_ms: int) -> None:
    """Drop lines from the log of all that are older than a moment (Redis milliseconds)."""
    await redis.xtrim(keys.LOG, minid=str(horizon_ms), approximate=True)


async def lines_before(
    redis: TextRedis, stream: str, *, since_ms: int, before: str = "+", count: int = PAGE
) -> list[LogLine]:
    """Read a page of lines, newest first, from `before` back to a moment (Redis milliseconds)."""
    entries = await redis.xrevrange(stream, max=before, min=str(since_ms), count=count)
    return [line_of(*entry) for entry in flatten(entries)]


async def lines_after(
    redis: TextRedis, stream: str, after: str, *, block_s: float
) -> list[LogLine]:
    """Wait a while for lines after an entry, oldest first."""
    answer = await redis.xread({stream: after}, count=PAGE, block=int(block_s * 1000))
    pairs = answer.items() if isinstance(answer, dict) else answer or []
    return [line_of(*entry) for _, entries in pairs for entry in flatten(entries)]


def line_of(entry_id: str, fields: Mapping[str, str]) -> LogLine:
    """Read one entry; one that is no JSON is shown as it is."""
    try:
        entry = json.loads(fields["line"])
    except (KeyError, ValueError):
        entry = {"event": str(fields)}
    return LogLine(id=entry_id, entry=entry)


async def counted(redis: TextRedis, *, first: int, last: int) -> dict[int, Counter[str]]:
    """Read the counts of these minutes (since 1970), those without any left out."""
    minutes = range(first, last + 1)
    async with redis.pipeline(transaction=False) as pipe:
        for minute in minutes:
            pipe.hgetall(keys.counts(minute))
        answers = await pipe.execute()
    return {
        minute: Counter({name: int(value) for name, value in answer.items()})
        for minute, answer in zip(minutes, answers, strict=True)
        if answer
    }
