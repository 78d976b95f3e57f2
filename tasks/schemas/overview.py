"""What `status` without a run shows."""

from tasks.schemas.frozen import Frozen
from tasks.schemas.load import Load
from tasks.schemas.quarantine import QuarantineCounts
from tasks.schemas.services import ServiceLine


class QueueLine(Frozen):
    """One queue: messages that wait, messages that are being worked on."""

    name: str
    waiting: int
    running: int


class GateLine(Frozen):
    """One provider's gate: slots in use now, in the whole cluster."""

    provider: str
    model: str
    slots_in_use: int


class MemoryLine(Frozen):
    """Redis' memory in bytes; `most_bytes` is 0 without a limit, `warn` says that it is scarce."""

    used_bytes: int
    most_bytes: int
    warn: bool


class Overview(Frozen):
    """Services, queues, gates and the load at one moment."""

    services: tuple[ServiceLine, ...]
    queues: tuple[QueueLine, ...]
    gates: tuple[GateLine, ...]
    load: Load
    memory: MemoryLine
    quarantine: QuarantineCounts
