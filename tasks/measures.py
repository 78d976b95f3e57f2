"""Counts what a process does, without asking anybody: `tasks.telemetry` adds it up in Redis.

Times go into buckets of 9 % width, so that percentiles of many processes and minutes can be put
together; each is right to within 5 %.
"""

import math
from collections import Counter

PER_DOUBLING = 8

_counts: Counter[str] = Counter()


def count(name: str, by: int = 1) -> None:
    """Count something: `call.ok`, `call.failed.CLASS`, `step.done`, `http.2xx`, `log.dropped`."""
    _counts[name] += by


def observe(name: str, seconds: float) -> None:
    """Note how long something took, as `NAME.t.BUCKET` and `NAME.ms`."""
    milliseconds = max(1.0, seconds * 1000)
    _counts[f"{name}.t.{round(PER_DOUBLING * math.log2(milliseconds))}"] += 1
    _counts[f"{name}.ms"] += round(milliseconds)


def take() -> dict[str, int]:
    """Hand over what was counted since the last time."""
    global _counts
    taken, _counts = _counts, Counter()
    return dict(taken)


def end_s_of(bucket: int) -> float:
    """Where a bucket ends."""
    return float(2 ** ((bucket + 0.5) / PER_DOUBLING)) / 1000


def seconds_of(bucket: int) -> float:
    """The middle of a bucket."""
    return float(2 ** (bucket / PER_DOUBLING)) / 1000
