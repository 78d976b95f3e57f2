"""Moments of a system that is well, to be made worse."""

from typing import Any

from tasks.schemas.moment import Moment
from tasks.schemas.overview import MemoryLine, QueueLine
from tasks.schemas.quarantine import QuarantineCounts
from tasks.schemas.services import ServiceLine

MINUTE = 29_000_000
WORKER = ServiceLine(
    name="llm-1@a", pid=1, node="a", state="running", queues=("llm.q",), memory_bytes=100,
    cpu_percent=50, machine_cpu_percent=30, machine_memory_percent=40,
)  # fmt: skip

UPKEEP = ServiceLine(name="upkeep-2@a", pid=2, node="a", state="running")


def moment(**fields: Any) -> Moment:
    """Describe the thirtieth second of a minute in which nothing is wrong."""
    well = Moment(
        at_ms=MINUTE * 60_000 + 30_000,
        services=(WORKER, UPKEEP),
        queues=(QueueLine(name="llm.q", waiting=0, running=0),),
        redis=MemoryLine(used_bytes=10, most_bytes=100, warn=False),
        quarantine=QuarantineCounts(messages=0, steps=0, dropped_messages=0),
    )
    return well.model_copy(update=fields)
