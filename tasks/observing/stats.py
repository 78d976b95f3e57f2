"""How the whole system has done lately, from what all processes counted; prints nothing."""

from collections import Counter
from collections.abc import Mapping, Sequence

from tasks.deps import Deps
from tasks.observing import looking
from tasks.observing.alarms import firing
from tasks.observing.samples import PREFIX
from tasks.observing.times import Times, error_rate, failures, times_of
from tasks.schemas.alerts import Alert
from tasks.schemas.frozen import Frozen
from tasks.schemas.moment import Machine, Moment, SessionCounts
from tasks.schemas.overview import MemoryLine, QueueLine
from tasks.schemas.quarantine import QuarantineCounts
from tasks.store import telemetry


class MinuteLine(Frozen):
    """One minute (Unix seconds of its beginning): what was counted in it, and how it stood.

    `waiting`, `running`, `cpu_percent` and `memory_percent` (of the busiest machine) and
    `quarantined` are upkeep's sample of that minute, None where there is none.
    """

    at: int
    calls: int
    failed: int
    p95_s: float
    steps: int
    waiting: int | None
    running: int | None
    cpu_percent: int | None
    memory_percent: int | None
    quarantined: int | None


class ServiceUse(Frozen):
    """What a service uses of its machine; CPU 100 = one core."""

    name: str
    node: str
    memory_bytes: int
    cpu_percent: float


class Stats(Frozen):
    """Everything of a window of so many seconds, and how it stands now.

    `response` is how long the provider took for a call that it answered, `step_time` what a step
    took in all (waiting at the gate, retries), `http` the HTTP API up to the head of its answer.
    """

    window_s: int
    calls: int
    calls_per_s: float
    steps: int
    steps_per_s: float
    steps_failed: int
    response: Times
    step_time: Times
    http: Times
    http_errors: int
    errors: dict[str, int]
    error_rate: float
    log_lines_dropped: int
    sessions: SessionCounts
    queues: tuple[QueueLine, ...]
    quarantine: QuarantineCounts
    redis: MemoryLine
    services: tuple[ServiceUse, ...]
    machines: tuple[Machine, ...]
    alerts: tuple[Alert, ...]
    trend: tuple[MinuteLine, ...]


async def read_stats(deps: Deps, *, minutes: int) -> Stats:
    """Read the last so many minutes, the present one with what it has so far."""
    moment = await looking.look(deps)
    last = moment.at_ms // 60_000
    by_minute = await telemetry.counted(deps.redis, first=last - minutes + 1, last=last)
    alerts = await firing(deps, moment)
    return stats_of(moment, by_minute, minutes=minutes, alerts=alerts)


def stats_of(
    moment: Moment,
    by_minute: Mapping[int, Counter[str]],
    *,
    minutes: int,
    alerts: Sequence[Alert] = (),
) -> Stats:
    """Sum so many minutes up to a moment up."""
    last = moment.at_ms // 60_000
    span = range(last - minutes + 1, last + 1)
    window_s = (minutes - 1) * 60 + max(1, moment.at_ms % 60_000 // 1000)
    total = sum((by_minute.get(minute, Counter()) for minute in span), Counter[str]())
    return Stats(
        window_s=window_s,
        calls=total["call.ok"],
        calls_per_s=round(total["call.ok"] / window_s, 3),
        steps=total["step.done"],
        steps_per_s=round(total["step.done"] / window_s, 3),
        steps_failed=total["step.failed"],
        response=times_of(total),
        step_time=times_of(total, "step"),
        http=times_of(total, "http"),
        http_errors=total["http.5xx"],
        errors=failures(total),
        error_rate=error_rate(total),
        log_lines_dropped=total["log.dropped"],
        sessions=moment.sessions,
        queues=moment.queues,
        quarantine=moment.quarantine,
        redis=moment.redis,
        services=tuple(
            ServiceUse(
                name=service.name,
                node=service.node,
                memory_bytes=service.memory_bytes,
                cpu_percent=service.cpu_percent,
            )
            for service in moment.services
        ),
        machines=moment.machines,
        alerts=tuple(alerts),
        trend=tuple(minute_line(minute, by_minute.get(minute, Counter())) for minute in span),
    )


def minute_line(minute: int, counts: Counter[str]) -> MinuteLine:
    """Sum one minute up."""

    def sampled(name: str) -> int | None:
        return counts.get(f"{PREFIX}{name}")

    return MinuteLine(
        at=minute * 60,
        calls=counts["call.ok"],
        failed=sum(failures(counts).values()),
        p95_s=times_of(counts).p95_s,
        steps=counts["step.done"],
        waiting=sampled("waiting"),
        running=sampled("running"),
        cpu_percent=sampled("cpu_percent"),
        memory_percent=sampled("memory_percent"),
        quarantined=sampled("quarantined"),
    )
