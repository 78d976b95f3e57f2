"""Notes once a minute, beside what all processes counted in it, how the whole system stands."""

from tasks.deps import Deps
from tasks.schemas.moment import Moment
from tasks.store import telemetry

PREFIX = "now."


async def note(deps: Deps, moment: Moment) -> None:
    """Note a moment in its minute; a second time in the same minute it replaces the first."""
    values = {f"{PREFIX}{name}": value for name, value in sample_of(moment).items()}
    await telemetry.note_sample(deps.redis, values, minute=moment.at_ms // 60_000)


def sample_of(moment: Moment) -> dict[str, int]:
    """Say how a moment stands, in whole numbers: counts, and percent of the busiest machine.

    `cpu_percent:NODE` is each machine's own.
    """
    machines = moment.machines
    return {
        "waiting": moment.waiting,
        "running": moment.running,
        "quarantined": moment.quarantine.messages + moment.quarantine.steps,
        "services": len(moment.services),
        "cpu_percent": round(max((m.cpu_percent for m in machines), default=0)),
        "memory_percent": round(max((m.memory_percent for m in machines), default=0)),
        **{f"cpu_percent:{m.node}": round(m.cpu_percent) for m in machines},
    }
