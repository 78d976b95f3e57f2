"""A service as its heartbeat describes it."""

from tasks.schemas.frozen import Frozen


class ServiceLine(Frozen):
    """One service; `seen_ms` is the Redis time of its last beat, `queues` what it consumes.

    `pid_space` names the process ids that `pid` is one of. LLM workers also name their `provider`,
    `model`, whether it can look at pictures and whether it has batch mode, how many of their calls
    are `waiting` at the gate, and the `holder` of their leases; image workers name `renderer`.
    Memory and CPU (100 = one core) are the process's and its children's; `machine_…` is percent of
    the whole machine, whoever uses it.
    """

    name: str
    pid: int
    pid_space: str = ""
    holder: str = ""
    node: str
    state: str
    queues: tuple[str, ...] = ()
    provider: str = ""
    model: str = ""
    vision: bool = False
    vision_model: str = ""
    renderer: str = ""
    batch_api: bool = False
    started_at: float = 0.0
    seen_ms: int = 0
    waiting: int = 0
    memory_bytes: int = 0
    cpu_percent: float = 0.0
    machine_cpu_percent: float = 0.0
    machine_memory_percent: float = 0.0
