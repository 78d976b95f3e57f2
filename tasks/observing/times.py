"""Response times from counted buckets: mean and percentiles; pure."""

import math
from collections.abc import Mapping

from tasks import measures
from tasks.schemas.frozen import Frozen


class Times(Frozen):
    """Times in seconds; percentiles are right to within 5 %."""

    count: int = 0
    mean_s: float = 0.0
    p50_s: float = 0.0
    p95_s: float = 0.0
    p99_s: float = 0.0


def times_of(counts: Mapping[str, int], name: str = "call") -> Times:
    """Put the buckets of a measure together."""
    buckets = buckets_of(counts, name)
    count = sum(number for _, number in buckets)
    if not count:
        return Times()
    return Times(
        count=count,
        mean_s=round(counts[f"{name}.ms"] / count / 1000, 4),
        p50_s=percentile(buckets, count, 0.50),
        p95_s=percentile(buckets, count, 0.95),
        p99_s=percentile(buckets, count, 0.99),
    )


def buckets_of(counts: Mapping[str, int], name: str) -> list[tuple[int, int]]:
    """List a measure's buckets with what is in them, the shortest time first."""
    prefix = f"{name}.t."
    return sorted(
        (int(key.removeprefix(prefix)), number)
        for key, number in counts.items()
        if key.startswith(prefix)
    )


def percentile(buckets: list[tuple[int, int]], count: int, share: float) -> float:
    """Find the bucket that a share of all lies below."""
    wanted, seen = math.ceil(count * share), 0
    for bucket, number in buckets:
        seen += number
        if seen >= wanted:
            return round(measures.seconds_of(bucket), 4)
    return 0.0


def failures(counts: Mapping[str, int]) -> dict[str, int]:
    """Count failed attempts by class."""
    prefix = "call.failed."
    return {n.removeprefix(prefix): c for n, c in sorted(counts.items()) if n.startswith(prefix)}


def error_rate(counts: Mapping[str, int]) -> float:
    """The share of attempts that failed; 0 when there were none."""
    failed = sum(failures(counts).values())
    attempts = counts.get("call.ok", 0) + failed
    return round(failed / attempts, 4) if attempts else 0.0
