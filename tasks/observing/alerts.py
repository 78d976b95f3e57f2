"""The rules of the alerts: what was counted and how things stand in, alerts out; pure."""

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from tasks.observing.samples import PREFIX
from tasks.observing.times import error_rate, failures, times_of
from tasks.schemas.alerts import Alert, AlertLimits
from tasks.schemas.moment import Machine, Moment
from tasks.schemas.services import ServiceLine
from tasks.store.room import Room

TRAILING_MINUTES = 60  # how far back the rules look
RECENT_MINUTES = 5
LEAST_ATTEMPTS = 20  # fewer say nothing about a rate or a percentile
LEAST_MINUTES = 10  # so many minutes with calls make "usually"
BUSY_MINUTES = 3

Minutes = Mapping[int, Counter[str]]
Rule = Callable[[Moment, Minutes, AlertLimits], Iterable[Alert]]


def alerts_of(moment: Moment, by_minute: Minutes, limits: AlertLimits) -> list[Alert]:
    """List what is wrong, by the last hour's minutes and the moment; nothing wrong is empty."""
    return [alert for rule in RULES for alert in rule(moment, by_minute, limits)]


def failing_calls(moment: Moment, by_minute: Minutes, limits: AlertLimits) -> Iterable[Alert]:
    """Too many attempts at model calls fail."""
    recent = summed(moment, by_minute, RECENT_MINUTES)
    failed = sum(failures(recent).values())
    attempts = recent["call.ok"] + failed
    if attempts >= LEAST_ATTEMPTS and error_rate(recent) >= limits.error_rate:
        classes = ", ".join(f"{name} {count:,}" for name, count in failures(recent).items())
        yield Alert(
            id="failing-calls",
            text=f"{failed:,} of {attempts:,} attempts at model calls failed in the last "
            f"{RECENT_MINUTES} minutes ({classes})",
            hint="castline logs --level warning; castline limits",
        )


def slow_calls(moment: Moment, by_minute: Minutes, limits: AlertLimits) -> Iterable[Alert]:
    """Calls take much longer than they usually do."""
    now = moment.at_ms // 60_000
    recent = times_of(summed(moment, by_minute, RECENT_MINUTES))
    before = range(now - TRAILING_MINUTES + 1, now - RECENT_MINUTES + 1)
    usual = [t.p95_s for m in before if (t := times_of(by_minute.get(m, Counter()))).count]
    if recent.count < LEAST_ATTEMPTS or len(usual) < LEAST_MINUTES:
        return
    median = statistics.median(usual)
    if recent.p95_s >= limits.slower * median:
        yield Alert(
            id="slow-calls",
            text=f"one model call in 20 takes {recent.p95_s:.1f} s or more; "
            f"in the hour before it was {median:.1f} s",
            hint="castline stats --trend; castline limits",
        )


def stuck_queue(moment: Moment, by_minute: Minutes, limits: AlertLimits) -> Iterable[Alert]:
    """Work waits, no step ends, and the queue does not get shorter."""
    last = moment.at_ms // 60_000
    span = [by_minute.get(m, Counter()) for m in range(last - limits.stuck_minutes + 1, last + 1)]
    waiting = [minute.get(f"{PREFIX}waiting", 0) for minute in span]
    done = sum(minute["step.done"] + minute["step.failed"] for minute in span)
    if min(waiting) > 0 and waiting[-1] >= waiting[0] and not done:
        yield Alert(
            id="stuck-queue",
            text=f"{waiting[-1]:,} messages wait and no step has ended for "
            f"{limits.stuck_minutes} minutes",
            hint="castline status; castline logs --level warning",
        )


def missing_workers(moment: Moment, _by_minute: Minutes, _limits: AlertLimits) -> Iterable[Alert]:
    """Work waits for a kind of service of which none is there."""
    running = [service for service in moment.services if service.state == "running"]
    served = {queue for service in running for queue in service.queues}
    alone = [queue for queue in moment.queues if queue.waiting and queue.name not in served]
    for kind in sorted({queue.name.partition(".")[0] for queue in alone}):
        waiting = sum(q.waiting for q in alone if q.name.startswith(f"{kind}."))
        yield missing(kind, f"{waiting:,} messages wait for a {kind} worker and none is there")
    if moment.waiting + moment.running and not any(s.name.startswith("upkeep-") for s in running):
        yield missing("upkeep", "there is work, and no upkeep to send what is lost again")


def missing(kind: str, text: str) -> Alert:
    """Build the alert for a kind of service that is not there."""
    hint = f"castline worker {kind}, or castline up --detach"
    return Alert(id=f"missing-workers:{kind}", text=text, hint=hint)


def open_breakers(moment: Moment, _by_minute: Minutes, _limits: AlertLimits) -> Iterable[Alert]:
    """A provider is taken to be down."""
    for gate in moment.gates:
        if gate.breaker != "closed":
            yield Alert(
                id=f"breaker:{gate.provider}",
                text=f"the breaker of provider {gate.provider} is {gate.breaker} after "
                f"{gate.failures:,} failures in a row",
                hint="castline doctor --live; castline limits",
            )


def scarce_memory(moment: Moment, _by_minute: Minutes, limits: AlertLimits) -> Iterable[Alert]:
    """Redis is nearly full; a full one takes no more work."""
    room = Room(used_bytes=moment.redis.used_bytes, most_bytes=moment.redis.most_bytes)
    if room.share >= limits.memory:
        yield Alert(
            id="redis-memory",
            text=f"Redis is nearly full: {room.said}; a full one takes no more work",
            hint="raise its maxmemory, or let runs expire sooner (CASTLINE_RETENTION_S)",
        )


def busy_machines(moment: Moment, by_minute: Minutes, limits: AlertLimits) -> Iterable[Alert]:
    """A machine's cores have been busy for minutes."""
    last = moment.at_ms // 60_000
    for machine in moment.machines:
        samples = [
            by_minute.get(minute, Counter()).get(f"{PREFIX}cpu_percent:{machine.node}", 0)
            for minute in range(last - BUSY_MINUTES + 1, last + 1)
        ]
        if min(*samples, machine.cpu_percent) >= 100 * limits.cpu:
            most = max(services_on(moment, machine), key=lambda service: service.cpu_percent)
            yield Alert(
                id=f"cpu:{machine.node}",
                text=f"{machine.node} has had its CPU at {100 * limits.cpu:.0f}% or more for "
                f"{BUSY_MINUTES} minutes, most of ours by {most.name}",
                hint="fewer workers or steps at once there, or another machine",
            )


def full_machines(moment: Moment, _by_minute: Minutes, limits: AlertLimits) -> Iterable[Alert]:
    """A machine's memory is nearly used up."""
    for machine in moment.machines:
        if machine.memory_percent >= 100 * limits.memory:
            most = max(services_on(moment, machine), key=lambda service: service.memory_bytes)
            yield Alert(
                id=f"memory:{machine.node}",
                text=f"{machine.node} uses {machine.memory_percent:.0f}% of its memory, most of "
                f"ours {most.name} ({most.memory_bytes / 1e6:,.0f} MB)",
                hint="fewer workers there, or more memory",
            )


def services_on(moment: Moment, machine: Machine) -> list[ServiceLine]:
    """List the services of a machine; there is one at least, or nobody would know of it."""
    return [service for service in moment.services if service.node == machine.node]


def filled_quarantine(moment: Moment, _by_minute: Minutes, _limits: AlertLimits) -> Iterable[Alert]:
    """Something waits for somebody to look at it."""
    held = moment.quarantine
    if held.messages or held.steps:
        yield Alert(
            id="quarantine",
            text=f"in quarantine: {number(held.messages, 'message')}, {number(held.steps, 'step')}",
            hint="castline quarantine list",
        )


def lost_log_lines(moment: Moment, by_minute: Minutes, _limits: AlertLimits) -> Iterable[Alert]:
    """Lines of the log did not reach Redis."""
    lost = summed(moment, by_minute, RECENT_MINUTES)["log.dropped"]
    if lost:
        yield Alert(
            id="log-lines-lost",
            text=f"{lost:,} log lines were lost in the last {RECENT_MINUTES} minutes",
            hint="they came too fast, or Redis was away; CASTLINE_HOME/logs has them",
        )


RULES: tuple[Rule, ...] = (
    missing_workers,
    stuck_queue,
    open_breakers,
    failing_calls,
    slow_calls,
    scarce_memory,
    busy_machines,
    full_machines,
    filled_quarantine,
    lost_log_lines,
)


def number(count: int, noun: str) -> str:
    """Write a count with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def summed(moment: Moment, by_minute: Minutes, minutes: int) -> Counter[str]:
    """Add up the last so many minutes."""
    last = moment.at_ms // 60_000
    span = range(last - minutes + 1, last + 1)
    return sum((by_minute.get(minute, Counter()) for minute in span), Counter[str]())
