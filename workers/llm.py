"""The LLM worker: a pool of threads whose model calls all run on one loop.

A pool of processes has a loop in each child, a solo worker does one step at a time (docs/pools.md).
"""

import gc
import os
from concurrent.futures import Future, wait
from typing import Any, Literal

from celery import signals

from tasks.app import app
from tasks.deps import Deps
from tasks.presence import Presence
from tasks.routing import LLM_QUEUES, node_label
from tasks.runtime import Runtime, start_runtime, stop_runtime
from tasks.settings import Settings
from workers.batching import submit_for_ever
from workers.departed import take_over_for_ever

STOP_S = 3.0
COLLECT_AFTER = (5000, 20, 20)  # Python's own: 700, 10, 10
Pool = Literal["threads", "prefork", "solo"]


def run_llm_worker(settings: Settings, *, concurrency: int, pool: Pool = "threads") -> int:
    """Work on the LLM queues until SIGTERM; returns the exit code.

    Raises ServiceAwayError without a Redis, ConfigurationError without a provider.
    """
    runtime = start_runtime(settings, models=True)
    name = f"llm-{os.getpid()}@{node_label(settings.node)}"
    runtime.portal.start(warm_up, runtime.deps)
    presence = start_presence(runtime, settings, name)
    batching = start_batching(runtime, name)
    departed = runtime.portal.start(take_over_for_ever, runtime.deps)
    app.conf.worker_pool_start_method = "spawn"  # the parent has threads; fork would copy locks
    try:
        app.worker_main(worker_arguments(name, concurrency, pool))
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        runtime.portal.call(presence.leave)
        for work in (batching, departed):
            cancel(work)
        stop_runtime()
    return 0


async def warm_up(deps: Deps) -> None:
    """Open connections to the providers while the worker starts; never fails."""
    if deps.completer is not None:
        await deps.completer.warm_up()


def start_presence(runtime: Runtime, settings: Settings, name: str) -> Presence:
    """Begin to beat once Celery consumes, so that `present` means `takes work`."""
    deps = runtime.deps

    def waiting() -> int:
        return deps.gate.waiting(deps.provider.name) if deps.gate and deps.provider else 0

    presence = Presence(
        runtime.deps.redis,
        settings,
        name=name,
        queues=LLM_QUEUES,
        provider=deps.provider,
        holder=deps.ledger.holder,
        waiting=waiting,
    )

    @signals.worker_ready.connect(weak=False)
    def begin(**_: Any) -> None:
        spare_the_collector()
        runtime.portal.start(presence.beat_for_ever)

    return presence


def spare_the_collector() -> None:
    """Let the garbage collector look at new objects only, and less often: 8 % of the CPU time.

    What was imported and set up until now lives as long as the process.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def start_batching(runtime: Runtime, name: str) -> "Future[None] | None":
    """Begin to take part in batch mode, if the provider has one."""
    provider = runtime.deps.provider
    if provider is None or not provider.has_batches:
        return None
    return runtime.portal.start(submit_for_ever, runtime.deps, provider, name)


def cancel(work: "Future[None] | None") -> None:
    """Stop what goes on beside the tasks, so that another worker leads at once."""
    if work is not None:
        work.cancel()
        wait([work], timeout=STOP_S)


def worker_arguments(name: str, concurrency: int, pool: Pool = "threads") -> list[str]:
    """Build Celery's command line."""
    return [
        "worker",
        f"--pool={pool}",
        f"--concurrency={concurrency}",
        f"--queues={','.join(LLM_QUEUES)}",
        f"--hostname={name}",
        "--loglevel=INFO",
        "--without-gossip",
        "--without-mingle",
    ]
