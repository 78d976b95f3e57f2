"""Serves metrics over HTTP to who scrapes them; what they are is `workers.metrics`'s."""

import asyncio
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from tasks.deps import Deps
from tasks.errors import ConfigurationError, ServiceAwayError
from tasks.observing import looking
from tasks.observing.alarms import firing
from tasks.store import telemetry
from workers.metrics import Reading, families, redis_up

SCRAPE_S = 10.0


class Cluster(Collector):
    """The whole cluster, read anew for each scrape."""

    def __init__(self, read: Callable[[], Reading]) -> None:
        self._read = read

    def describe(self) -> list[Metric]:
        """Name nothing beforehand: to register asks no Redis."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Give everything; while Redis is away, only that it is."""
        try:
            read = self._read()
        except (RedisError, OSError, TimeoutError, ServiceAwayError):
            yield redis_up(False)
            return
        yield redis_up(True)
        yield from families(read)


def serve_metrics(deps: Deps, *, host: str, port: int) -> Callable[[], None]:
    """Serve `/metrics` from threads that ask this loop; returns what ends it.

    Raises ConfigurationError when the port is taken.
    """
    loop = asyncio.get_running_loop()

    def read() -> Reading:
        asked = asyncio.run_coroutine_threadsafe(reading(deps), loop)
        try:
            return asked.result(SCRAPE_S)
        finally:
            asked.cancel()

    registry = CollectorRegistry()
    registry.register(Cluster(read))
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise ConfigurationError(
            f"metrics cannot be served on {host}:{port}: {error.strerror}",
            hint="choose another CASTLINE_METRICS_PORT",
        ) from error

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end


async def reading(deps: Deps) -> Reading:
    """Read what a scrape shows."""
    moment = await looking.look(deps)
    totals = await telemetry.totals(deps.redis)
    return Reading(moment=moment, totals=totals, alerts=await firing(deps, moment))
