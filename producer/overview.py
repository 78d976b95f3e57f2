"""`status` without a run: services, queues, gates and load at one moment."""

from urllib.parse import urlsplit

from rich.table import Table

from producer import admission
from producer.console import data_console, print_json
from producer.load import queue_text
from tasks.deps import Deps
from tasks.gate.gate import Gate
from tasks.gate.on_redis import RedisRules
from tasks.observing.looking import memory_line
from tasks.observing.quarantine import counted
from tasks.observing.queues import queue_lines
from tasks.observing.services import live_services
from tasks.schemas.load import Load
from tasks.schemas.overview import GateLine, MemoryLine, Overview, QueueLine
from tasks.schemas.services import ServiceLine
from tasks.store import room


async def overview(deps: Deps, *, as_json: bool) -> int:
    """Print the overview; returns the exit code."""
    seen = await look(deps)
    if as_json:
        print_json(seen)
        return 0
    show_services(seen.services)
    show_queues(seen.queues)
    show_gates(seen.gates)
    show_load(seen.load)
    show_memory(seen.memory)
    if seen.quarantine.messages or seen.quarantine.steps:
        data_console.print(
            f"in quarantine: {seen.quarantine.messages} messages, {seen.quarantine.steps} steps"
            " (castline quarantine list)"
        )
    return 0


async def look(deps: Deps) -> Overview:
    """Read heartbeats, queue lengths, slots in use and the load."""
    services = [await redis_line(deps), *await live_services(deps)]
    return Overview(
        services=tuple(services),
        queues=tuple(await queue_lines(deps, services)),
        gates=tuple(await gate_lines(deps, services)),
        load=await admission.look(deps),
        memory=await memory_line(deps),
        quarantine=await counted(deps),
    )


async def redis_line(deps: Deps) -> ServiceLine:
    """Describe the Redis that we talk to."""
    info = await deps.redis.info("server")
    url = urlsplit(deps.settings.broker_url())
    return ServiceLine(
        name="redis",
        pid=int(info["process_id"]),
        node=f"{url.hostname}:{url.port or 6379}",
        state="running",
        seen_ms=await deps.ledger.now_ms(),
    )


async def gate_lines(deps: Deps, services: list[ServiceLine]) -> list[GateLine]:
    """Show each live provider's slots in use."""
    gate = Gate(RedisRules(deps.redis), {})
    names = sorted({service.provider for service in services if service.provider})
    return [
        GateLine(
            provider=name,
            slots_in_use=(await gate.state(name)).slots_in_use,
            model=next(s.model for s in services if s.provider == name),
        )
        for name in names
    ]


def show_services(services: tuple[ServiceLine, ...]) -> None:
    """Print the services as a table."""
    table = Table(box=None, pad_edge=False)
    for column in ("service", "state", "pid", "node"):
        table.add_column(column, justify="right" if column == "pid" else "left")
    for line in services:
        table.add_row(line.name, line.state, str(line.pid), line.node)
    data_console.print(table, "")


def show_queues(queues: tuple[QueueLine, ...]) -> None:
    """Print the queues as a table."""
    table = Table(box=None, pad_edge=False)
    table.add_column("queue")
    table.add_column("waiting", justify="right")
    table.add_column("running", justify="right")
    for line in queues:
        table.add_row(line.name, str(line.waiting), str(line.running))
    data_console.print(table, "")


def show_gates(gates: tuple[GateLine, ...]) -> None:
    """Print the gates as lines."""
    for line in gates:
        data_console.print(
            f"provider {line.provider} ({line.model}): {line.slots_in_use} slots in use"
        )


def show_load(load: Load) -> None:
    """Print the load as a line."""
    refused = f"new runs are refused from {load.most_calls:,}"
    if load.interactive_state != load.state:
        refused += f"; interactive runs meet {load.interactive_state} load"
    text = f"load {load.state}: {queue_text(load.queued_calls, load.drain_s)} ({refused})"
    data_console.print(text, soft_wrap=True)


def show_memory(memory: MemoryLine) -> None:
    """Print a warning when Redis has little room left."""
    if memory.warn:
        said = room.Room(used_bytes=memory.used_bytes, most_bytes=memory.most_bytes).said
        data_console.print(
            f"Redis is nearly full: {said}; runs are refused from {room.FULL_SHARE:.0%}",
            soft_wrap=True,
        )
