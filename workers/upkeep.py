"""The upkeep process: sweeps once a second while it leads; one leader in the cluster."""

import asyncio
import contextlib
import logging
import math
import os
import signal
from collections.abc import AsyncIterator

from redis.exceptions import RedisError

from tasks.deps import Deps, open_deps
from tasks.errors import ServiceAwayError
from tasks.presence import Presence
from tasks.routing import node_label
from tasks.settings import Settings
from tasks.store import keys
from tasks.telemetry import shipping
from tasks.upkeep import sweep
from workers.leadership import Leadership
from workers.minutely import Minutely

log = logging.getLogger(__name__)

PERIOD_S = 1.0
AFTER_TROUBLE_S = 3.0
LEADER_MS = 5000


async def run_upkeep(settings: Settings) -> int:
    """Sweep until SIGTERM or SIGINT; returns the exit code. Raises ServiceAwayError."""
    deps = await open_deps(settings)
    name = f"upkeep-{os.getpid()}@{node_label(settings.node)}"
    presence = Presence(deps.redis, settings, name=name)
    leadership = Leadership(deps.redis, keys.LEADER, name=name, lease_ms=LEADER_MS)
    try:
        async with presence.beating(), shipping(deps), metrics(deps):
            try:
                await sweep_until(deps, leadership, stop_event())
            finally:
                await leadership.resign()
    finally:
        await deps.close()
    return 0


@contextlib.asynccontextmanager
async def metrics(deps: Deps) -> AsyncIterator[None]:
    """Serve metrics while the block lasts, if a port is set. Raises ConfigurationError."""
    host, port = deps.settings.metrics_host, deps.settings.metrics_port
    if not port:
        yield
        return
    from workers.scraping import serve_metrics

    end = serve_metrics(deps, host=host, port=port)
    log.info("metrics on http://%s:%d/metrics", host, port)
    try:
        yield
    finally:
        await asyncio.to_thread(end)  # a scrape under way still asks this loop


def stop_event() -> asyncio.Event:
    """Make an event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def sweep_until(deps: Deps, leadership: Leadership, stop: asyncio.Event) -> None:
    """Sweep each period while leading; trouble with Redis is logged and waited out.

    After trouble those go first who hold what was paid for meanwhile: a sweep would take their
    leases, which ran out, for those of the dead.
    """
    clock = asyncio.get_running_loop().time
    calm_at, swept_at = 0.0, -math.inf  # the first clean-up comes at once, after a restart too
    minutely = Minutely(deps)
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), PERIOD_S)
        try:
            if await leadership.take() and clock() >= calm_at:
                report = await sweep(deps)
                if report.sent or report.moved or report.forgotten:
                    log.info("sweep: %s", report)
                swept_at = await forget_idle_sessions(deps, swept_at)
                await minutely.tend()
        except (RedisError, OSError, ServiceAwayError) as error:
            calm_at = clock() + AFTER_TROUBLE_S
            log.warning("no sweep: %s", type(error).__name__)


async def forget_idle_sessions(deps: Deps, swept_at: float) -> float:
    """Remove what idle sessions left, once an hour, and say so; returns when that was last done."""
    now = asyncio.get_running_loop().time()
    if now - swept_at < deps.settings.session_sweep_s:
        return swept_at
    gone = await deps.sessions.forget_idle(int(deps.settings.session_idle_s * 1000))
    log.info(
        "%d idle sessions are removed with %d keys, %d hold a slot",
        len(gone.sessions),
        gone.keys,
        await deps.sessions.held(),
    )
    return now
