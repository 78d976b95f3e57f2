"""Is the service of this container alive? Asks its heartbeat; for container health checks."""

from pathlib import Path

from redis import Redis

from tasks.routing import node_label
from tasks.schemas.services import ServiceLine
from tasks.settings import Settings
from tasks.store import keys

FRESH_MS = 10_000


def is_alive(settings: Settings) -> bool:
    """Whether any service of this node beats that runs in this process namespace.

    Raises redis' errors when Redis is away, which is unhealthy too.
    """
    redis = Redis.from_url(settings.broker_url(), decode_responses=True, socket_timeout=5)
    try:
        seconds, micros = redis.time()
        now = int(seconds) * 1000 + int(micros) // 1000
        lines = redis.hvals(keys.SERVICES)
    finally:
        redis.close()
    services = [ServiceLine.model_validate_json(str(line)) for line in lines]
    return any(beats_here(service, settings, now) for service in services)


def beats_here(service: ServiceLine, settings: Settings, now_ms: int) -> bool:
    """Whether a heartbeat is fresh and of a process that we can see."""
    same_node = node_label(service.node) == node_label(settings.node)
    fresh = service.seen_ms > now_ms - FRESH_MS
    return same_node and fresh and Path(f"/proc/{service.pid}").exists()
