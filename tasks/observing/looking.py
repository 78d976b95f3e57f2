"""Looks at the whole system once; what that means is judged elsewhere."""

from tasks.deps import Deps
from tasks.observing.gates import live_gates
from tasks.observing.quarantine import counted
from tasks.observing.queues import queue_lines
from tasks.observing.services import live_services
from tasks.schemas.moment import Moment, SessionCounts
from tasks.schemas.overview import MemoryLine
from tasks.store import keys, room


async def look(deps: Deps) -> Moment:
    """Read heartbeats, queue lengths, gates, memory, quarantine and sessions."""
    services = await live_services(deps)
    return Moment(
        at_ms=await deps.ledger.now_ms(),
        services=tuple(services),
        queues=tuple(await queue_lines(deps, services)),
        gates=tuple(await live_gates(deps)),
        redis=await memory_line(deps),
        quarantine=await counted(deps),
        bad_messages=int(await deps.redis.hget(keys.BAD_MESSAGE_COUNTS, "quarantined") or 0),
        sessions=await session_counts(deps),
    )


async def memory_line(deps: Deps) -> MemoryLine:
    """Read Redis' memory."""
    found = await room.look(deps.redis)
    return MemoryLine(
        used_bytes=found.used_bytes,
        most_bytes=found.most_bytes,
        warn=found.share >= room.WARN_SHARE,
    )


async def session_counts(deps: Deps) -> SessionCounts:
    """Count the discussions."""
    counts = await deps.redis.hgetall(keys.SESSIONS_COUNTS)
    return SessionCounts(
        active=await deps.sessions.held(),
        waiting=len(await deps.sessions.waiting()),
        expired=int(counts.get("expired", 0)),
        removed_keys=int(counts.get("removed_keys", 0)),
    )
