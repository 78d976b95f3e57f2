"""Metrics in Prometheus' format: what was read of the cluster becomes families; pure.

Each is read from Redis, so one instance answers for the whole cluster, and any of them may: scrape
one of them. Totals are of all time and outlive every process.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from tasks import measures
from tasks.observing.times import buckets_of, failures
from tasks.schemas.alerts import Alert
from tasks.schemas.moment import Moment

EDGES = range(28, 137, 4)  # ends of buckets of `tasks.measures` that are shown: 12 ms to 137 s
BREAKERS = ("closed", "open", "half-open")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The cluster at one moment, and all that was ever counted."""

    moment: Moment
    totals: Counter[str]
    alerts: Sequence[Alert] = ()


def redis_up(up: bool) -> Metric:
    """Whether Redis answers: all else is known from it."""
    return gauge("castline_redis_up", "Whether Redis answers.", float(up))


def families(read: Reading) -> Iterator[Metric]:
    """Build everything."""
    yield from standing(read.moment)
    yield from services(read.moment)
    yield from gates(read.moment)
    yield from counted(read.totals)
    firing = {alert.id: 1.0 for alert in read.alerts}
    yield gauges("castline_alerts_firing", "1 for each alert that fires.", "alert", firing)


def standing(moment: Moment) -> Iterator[Metric]:
    """How things stand: queues, sessions, quarantine, memory."""
    waiting = {queue.name: queue.waiting for queue in moment.queues}
    running = {queue.name: queue.running for queue in moment.queues}
    yield gauges(
        "castline_queue_waiting", "Messages (a GPU's: pictures) that wait.", "queue", waiting
    )
    yield gauges("castline_queue_running", "The same, being worked on.", "queue", running)
    sessions, held = moment.sessions, moment.quarantine
    states = {"active": sessions.active, "waiting": sessions.waiting}
    yield gauges("castline_sessions", "Discussions.", "state", states)
    expired, removed = sessions.expired, sessions.removed_keys
    yield counter("castline_sessions_expired", "Idle discussions that were removed.", expired)
    yield counter("castline_session_keys_removed", "Keys of Redis that went with them.", removed)
    kinds = {"message": held.messages, "step": held.steps}
    yield gauges("castline_quarantined", "What is in quarantine now.", "kind", kinds)
    ever = moment.bad_messages
    yield counter("castline_bad_messages", "Messages that ever went into quarantine.", ever)
    used, most = moment.redis.used_bytes, moment.redis.most_bytes
    yield gauge("castline_redis_memory_used_bytes", "Memory that Redis uses.", used)
    yield gauge("castline_redis_memory_limit_bytes", "Redis' maxmemory; 0 = none.", most)


def services(moment: Moment) -> Iterator[Metric]:
    """Who is there, and what they use."""
    found, machines = moment.services, moment.machines
    kinds = Counter(kind_of(service.name) for service in found)
    yield gauges("castline_services_up", "Services whose heart beats.", "kind", kinds)
    memory = {service.name: service.memory_bytes for service in found}
    cores = {service.name: service.cpu_percent / 100 for service in found}
    yield gauges("castline_service_memory_bytes", "With its children.", "service", memory)
    yield gauges("castline_service_cpu_cores", "Cores kept busy.", "service", cores)
    cpu = {machine.node: machine.cpu_percent / 100 for machine in machines}
    share = {machine.node: machine.memory_percent / 100 for machine in machines}
    yield gauges("castline_machine_cpu_ratio", "Share of all cores that is busy.", "node", cpu)
    yield gauges("castline_machine_memory_ratio", "Share of the memory in use.", "node", share)


def gates(moment: Moment) -> Iterator[Metric]:
    """What each provider's gate allows and holds."""
    for name, text, field in (
        ("slots_in_use", "Calls under way.", "slots_in_use"),
        ("slots", "Calls that may be under way at once.", "slots_now"),
        ("requests_per_minute", "The limit; 0 = none.", "rpm"),
        ("tokens_per_minute", "The limit; 0 = none.", "tpm"),
    ):
        values = {gate.provider: float(getattr(gate, field)) for gate in moment.gates}
        yield gauges(f"castline_gate_{name}", text, "provider", values)
    text = "1 for the state that the circuit breaker is in."
    breaker = GaugeMetricFamily("castline_gate_breaker", text, labels=("provider", "state"))
    for gate in moment.gates:
        for state in BREAKERS:
            breaker.add_metric((gate.provider, state), float(gate.breaker == state))
    yield breaker


def counted(totals: Counter[str]) -> Iterator[Metric]:
    """What all processes ever counted."""
    calls = {"ok": totals["call.ok"], **failures(totals)}
    yield counters("castline_calls", "Attempts at model calls.", "outcome", calls)
    steps = {outcome: totals[f"step.{outcome}"] for outcome in ("done", "failed")}
    yield counters("castline_steps", "Steps that ended.", "outcome", steps)
    answers = {n.removeprefix("http."): c for n, c in totals.items() if n.endswith("xx")}
    yield counters("castline_http_answers", "Answers of the HTTP API.", "status", answers)
    dropped = totals["log.dropped"]
    yield counter("castline_log_lines_dropped", "Log lines that were lost.", dropped)
    yield histogram("castline_call_seconds", "From a request to its answer.", totals, "call")
    yield histogram("castline_step_seconds", "What a step took in all.", totals, "step")
    yield histogram("castline_http_seconds", "Until the API's answer began.", totals, "http")


def gauge(name: str, text: str, value: float) -> Metric:
    """Build a gauge of one value."""
    return GaugeMetricFamily(name, text, value=value)


def gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """Build a gauge with a value for each label."""
    return labelled(GaugeMetricFamily(name, text, labels=(label,)), values)


def counter(name: str, text: str, value: float) -> Metric:
    """Build a counter of one value; its sample ends in `_total`."""
    return CounterMetricFamily(name, text, value=value)


def counters(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """Build a counter with a value for each label."""
    return labelled(CounterMetricFamily(name, text, labels=(label,)), values)


def labelled(
    family: GaugeMetricFamily | CounterMetricFamily, values: Mapping[str, float]
) -> Metric:
    """Give a family of one label its values."""
    for of, value in values.items():
        family.add_metric((of,), value)
    return family


def histogram(name: str, text: str, totals: Counter[str], measure: str) -> Metric:
    """Build a histogram of a measure; each bucket ends where one of ours does, so it is exact."""
    found = buckets_of(totals, measure)
    buckets: list[tuple[str, float]] = [
        (
            f"{measures.end_s_of(edge):.6g}",
            sum(number for bucket, number in found if bucket <= edge),
        )
        for edge in EDGES
    ]
    buckets.append(("+Inf", sum(number for _, number in found)))
    return HistogramMetricFamily(name, text, buckets, sum_value=totals[f"{measure}.ms"] / 1000)


def kind_of(service: str) -> str:
    """Name a service's kind: what comes before its number and its machine."""
    return service.partition("@")[0].partition("-")[0]
