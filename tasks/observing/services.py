"""Which services are alive, from their heartbeats."""

import json

from tasks.deps import Deps
from tasks.schemas.services import ServiceLine
from tasks.store import keys

FRESH_MS = 8000


async def live_services(deps: Deps) -> list[ServiceLine]:
    """List the services whose heartbeat is fresh, by name."""
    lines = await deps.redis.hvals(keys.SERVICES)
    now = await deps.ledger.now_ms()
    services = [ServiceLine.model_validate(json.loads(line)) for line in lines]
    return sorted((s for s in services if s.seen_ms > now - FRESH_MS), key=lambda s: s.name)
