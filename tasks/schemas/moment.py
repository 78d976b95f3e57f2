"""The whole system at one moment, as everybody sees it who looks inside."""

from tasks.schemas.frozen import Frozen
from tasks.schemas.limits import GateState
from tasks.schemas.overview import MemoryLine, QueueLine
from tasks.schemas.quarantine import QuarantineCounts
from tasks.schemas.services import ServiceLine


class SessionCounts(Frozen):
    """Discussions: with a slot, in the waiting room; removed as idle since Redis began."""

    active: int = 0
    waiting: int = 0
    expired: int = 0
    removed_keys: int = 0


class Moment(Frozen):
    """Services that beat, queues, gates, Redis' memory, what is in quarantine, discussions.

    `bad_messages` counts those that ever went into quarantine.
    """

    at_ms: int
    services: tuple[ServiceLine, ...] = ()
    queues: tuple[QueueLine, ...] = ()
    gates: tuple[GateState, ...] = ()
    redis: MemoryLine
    quarantine: QuarantineCounts
    bad_messages: int = 0
    sessions: SessionCounts = SessionCounts()

    @property
    def waiting(self) -> int:
        """What waits in all queues."""
        return sum(queue.waiting for queue in self.queues)

    @property
    def running(self) -> int:
        """What is being worked on."""
        return sum(queue.running for queue in self.queues)

    @property
    def machines(self) -> "tuple[Machine, ...]":
        """The machines that services run on, by name."""
        nodes = sorted({service.node for service in self.services})
        return tuple(
            Machine(
                node=node,
                cpu_percent=max(s.machine_cpu_percent for s in self.services if s.node == node),
                memory_percent=max(
                    s.machine_memory_percent for s in self.services if s.node == node
                ),
            )
            for node in nodes
        )


class Machine(Frozen):
    """How busy a whole machine is: percent of all its cores, percent of its memory."""

    node: str
    cpu_percent: float
    memory_percent: float
