"""How the whole system has done lately, from what all processes counted; prints nothing."""

import math
from collections import Counter

from tasks import measures
from tasks.deps import Deps
from tasks.observing.services import live_services
from tasks.schemas.frozen import Frozen
from tasks.store import keys, telemetry


class Times(Frozen):
    """Response times in seconds; percentiles are right to within 5 %."""

    count: int = 0
    mean_s: float = 0.0
    p50_s: float = 0.0
    p95_s: float = 0.0
    p99_s: float = 0.0


class MinuteLine(Frozen):
    """One minute (Unix seconds of its beginning): calls, failed attempts, how long calls took."""

    at: int
    calls: int
    failed: int
    p95_s: float


class SessionCounts(Frozen):
    """Discussions: with a slot, in the waiting room, removed since Redis began."""

    active: int = 0
    waiting: int = 0
    expired: int = 0


class ServiceUse(Frozen):
    """What a service uses of its machine."""

    name: str
    memory_bytes: int
    cpu_percent: float


class Stats(Frozen):
    """Everything of a window of so many seconds."""

    window_s: int
    calls: int
    calls_per_s: float
    steps_per_s: float
    steps_failed: int
    response: Times
    errors: dict[str, int]
    error_rate: float
    sessions: SessionCounts
    services: tuple[ServiceUse, ...]
    trend: tuple[MinuteLine, ...]


async def read_stats(deps: Deps, *, minutes: int) -> Stats:
    """Read the last so many minutes, the present one with what it has so far."""
    now_ms = await deps.ledger.now_ms()
    last = now_ms // 60_000
    by_minute = await telemetry.counted(deps.redis, first=last - minutes + 1, last=last)
    total = sum(by_minute.values(), Counter[str]())
    window_s = (minutes - 1) * 60 + max(1, now_ms % 60_000 // 1000)
    errors = failures(total)
    calls, failed = total["call.ok"], sum(errors.values())
    counts = await deps.redis.hgetall(keys.SESSIONS_COUNTS)
    return Stats(
        window_s=window_s,
        calls=calls,
        calls_per_s=round(calls / window_s, 3),
        steps_per_s=round(total["step.done"] / window_s, 3),
        steps_failed=total["step.failed"],
        response=times_of(total),
        errors=errors,
        error_rate=round(failed / (calls + failed), 4) if calls + failed else 0.0,
        sessions=SessionCounts(
            active=await deps.sessions.held(),
            waiting=len(await deps.sessions.waiting()),
            expired=int(counts.get("expired", 0)),
        ),
        services=tuple(
            ServiceUse(name=s.name, memory_bytes=s.memory_bytes, cpu_percent=s.cpu_percent)
            for s in await live_services(deps)
        ),
        trend=tuple(minute_line(minute, by_minute.get(minute, Counter()))
                    for minute in range(last - minutes + 1, last + 1)),
    )  # fmt: skip


def failures(total: Counter[str]) -> dict[str, int]:
    """Count failed attempts by class."""
    prefix = "call.failed."
    return {n.removeprefix(prefix): c for n, c in sorted(total.items()) if n.startswith(prefix)}


def minute_line(minute: int, counts: Counter[str]) -> MinuteLine:
    """Sum one minute up."""
    return MinuteLine(
        at=minute * 60,
        calls=counts["call.ok"],
        failed=sum(failures(counts).values()),
        p95_s=times_of(counts).p95_s,
    )


def times_of(total: Counter[str], name: str = "call") -> Times:
    """Put the buckets of a measure together."""
    prefix = f"{name}.t."
    buckets = sorted(
        (int(key.removeprefix(prefix)), count)
        for key, count in total.items()
        if key.startswith(prefix)
    )
    count = sum(share for _, share in buckets)
    if not count:
        return Times()
    return Times(
        count=count,
        mean_s=round(total[f"{name}.ms"] / count / 1000, 4),
        p50_s=percentile(buckets, count, 0.50),
        p95_s=percentile(buckets, count, 0.95),
        p99_s=percentile(buckets, count, 0.99),
    )


def percentile(buckets: list[tuple[int, int]], count: int, share: float) -> float:
    """Find the bucket that a share of all lies below."""
    wanted, seen = math.ceil(count * share), 0
    for bucket, number in buckets:
        seen += number
        if seen >= wanted:
            return round(measures.seconds_of(bucket), 4)
    return 0.0
