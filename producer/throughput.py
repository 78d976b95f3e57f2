"""What a load showed: requests a second, times, success, use of the machine, targets met; pure."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from producer.load_generator import LoadPlan, Shot
from tasks.observing.times import Times
from tasks.schemas.frozen import Frozen

RATE, MEAN_S, SUCCESS, CPU, MEMORY = 100.0, 2.0, 0.999, 80.0, 70.0  # document 002's targets


@dataclass(frozen=True, kw_only=True)
class Use:
    """What was used meanwhile: percent of the machine, and the client's own (100 = one core)."""

    cpu_percent: float
    memory_percent: float
    client_cpu_percent: float
    client_memory_bytes: int


class Target(Frozen):
    """One target: what was asked, what was found, whether that is enough."""

    name: str
    wanted: str
    found: str
    met: bool


class SecondLine(Frozen):
    """One second of the load: calls that ended in it, failed ones among them, their mean time."""

    second: int
    calls: int
    failed: int
    mean_s: float


class ThroughputReport(Frozen):
    """The whole load; times are exact, in seconds, of the calls that were answered."""

    provider: str
    gate: str
    rate: float
    in_flight: int
    seconds: float
    requests: int
    failed: int
    errors: dict[str, int]
    requests_per_s: float
    success: float
    response: Times
    cpu_percent: float
    memory_percent: float
    client_cpu_percent: float
    client_memory_bytes: int
    targets: tuple[Target, ...]
    trend: tuple[SecondLine, ...]

    @property
    def met(self) -> bool:
        """Whether all targets are met."""
        return all(target.met for target in self.targets)


def report_of(
    shots: Sequence[Shot], plan: LoadPlan, use: Use, *, provider: str, gate: str
) -> ThroughputReport:
    """Sum a load up; requests a second are those that were answered, over the whole time."""
    answered = sorted(shot.took_s for shot in shots if not shot.error)
    lasted_s = max((shot.ended_s for shot in shots), default=0.0)
    per_s = len(answered) / lasted_s if lasted_s else 0.0
    success = len(answered) / len(shots) if shots else 0.0
    times = exact_times(answered)
    return ThroughputReport(
        provider=provider,
        gate=gate,
        rate=plan.rate,
        in_flight=plan.in_flight,
        seconds=round(lasted_s, 2),
        requests=len(shots),
        failed=len(shots) - len(answered),
        errors=dict(Counter(shot.error for shot in shots if shot.error)),
        requests_per_s=round(per_s, 1),
        success=round(success, 5),
        response=times,
        cpu_percent=round(use.cpu_percent, 1),
        memory_percent=round(use.memory_percent, 1),
        client_cpu_percent=round(use.client_cpu_percent, 1),
        client_memory_bytes=use.client_memory_bytes,
        targets=targets_of(per_s, success, times, use),
        trend=trend_of(shots),
    )


def targets_of(per_s: float, success: float, times: Times, use: Use) -> tuple[Target, ...]:
    """Judge the five targets of document 002."""
    cpu, memory = use.cpu_percent, use.memory_percent
    return (
        target("requests a second", f"> {RATE:.0f}", f"{per_s:.1f}", per_s > RATE),
        target(
            "mean time", f"< {MEAN_S:.0f} s", f"{times.mean_s:.3f} s", 0 < times.mean_s < MEAN_S
        ),
        target("success", f"> {SUCCESS:.1%}", f"{success:.2%}", success > SUCCESS),
        target("CPU", f"< {CPU:.0f}%", f"{cpu:.0f}%", cpu < CPU),
        target("memory", f"< {MEMORY:.0f}%", f"{memory:.0f}%", memory < MEMORY),
    )


def target(name: str, wanted: str, found: str, met: bool) -> Target:
    """Build a target."""
    return Target(name=name, wanted=wanted, found=found, met=met)


def exact_times(answered: Sequence[float]) -> Times:
    """Mean and percentiles of sorted times."""
    if not answered:
        return Times()

    def percentile(share: float) -> float:
        return round(answered[math.ceil(len(answered) * share) - 1], 4)

    return Times(
        count=len(answered),
        mean_s=round(math.fsum(answered) / len(answered), 4),
        p50_s=percentile(0.50),
        p95_s=percentile(0.95),
        p99_s=percentile(0.99),
    )


def trend_of(shots: Sequence[Shot]) -> tuple[SecondLine, ...]:
    """Sum the load up second by second."""
    by_second: dict[int, list[Shot]] = {}
    for shot in shots:
        by_second.setdefault(int(shot.ended_s), []).append(shot)
    return tuple(
        SecondLine(
            second=second,
            calls=len(ended),
            failed=sum(bool(shot.error) for shot in ended),
            mean_s=round(math.fsum(shot.took_s for shot in ended) / len(ended), 4),
        )
        for second, ended in sorted(by_second.items())
    )
