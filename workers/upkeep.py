"""The upkeep process: sweeps once a second while it leads; one leader in the cluster."""

import asyncio
import contextlib
import logging
import os
import signal

from redis.exceptions import RedisError

from tasks.deps import Deps, open_deps
from tasks.errors import ServiceAwayError
from tasks.routing import node_label
from tasks.settings import Settings
from tasks.store import keys
from tasks.upkeep import sweep
from workers.presence import Presence

log = logging.getLogger(__name__)

PERIOD_S = 1.0
LEADER_MS = 5000
EXTEND = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0
"""
RESIGN = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end"


async def run_upkeep(settings: Settings) -> int:
    """Sweep until SIGTERM or SIGINT; returns the exit code. Raises ServiceAwayError."""
    deps = await open_deps(settings)
    name = f"upkeep-{os.getpid()}@{node_label(settings.node)}"
    presence = Presence(deps.redis, settings, name=name)
    beat = asyncio.create_task(presence.beat_for_ever())
    try:
        await sweep_until(deps, name, stop_event())
    finally:
        beat.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beat
        with contextlib.suppress(RedisError, OSError):
            await deps.redis.eval(RESIGN, 1, keys.LEADER, name)
        await presence.leave()
        await deps.close()
    return 0


def stop_event() -> asyncio.Event:
    """Make an event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def sweep_until(deps: Deps, name: str, stop: asyncio.Event) -> None:
    """Sweep each period while leading; trouble with Redis is logged and waited out."""
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), PERIOD_S)
        try:
            if await leads(deps, name):
                report = await sweep(deps)
                if report.sent or report.moved or report.forgotten:
                    log.info("sweep: %s", report)
        except (RedisError, OSError, ServiceAwayError) as error:
            log.warning("no sweep: %s", type(error).__name__)


async def leads(deps: Deps, name: str) -> bool:
    """Take or keep the leader's lease."""
    return bool(await deps.redis.eval(EXTEND, 1, keys.LEADER, name, LEADER_MS))
