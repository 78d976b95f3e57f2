"""The GPU worker: one queue, one pinned device, a pool of one spawned child.

The parent keeps heartbeats and time limits while the child draws (`tasks.runtime` opens it). The
device is pinned by the environment that this process was started with, before any CUDA library is
loaded.
"""

import os
from typing import Any

from celery import signals

from tasks.app import app, queue_of, transport_options
from tasks.presence import Presence
from tasks.routing import gpu_queue, node_label
from tasks.runtime import start_runtime, stop_runtime
from tasks.settings import Settings

SOFT_LIMIT_S, HARD_LIMIT_S = 600, 660
REDELIVER_S = 1800  # above the hard limit


def run_gpu_worker(settings: Settings, *, index: int) -> int:
    """Work on one GPU's queue until SIGTERM; returns the exit code.

    Raises ServiceAwayError without a Redis, BadInputError when the queue is served already.
    """
    queue = gpu_queue(settings.node, index)
    name = f"gpu-{index}@{node_label(settings.node)}"
    runtime = start_runtime(settings, models=False)
    presence = Presence(runtime.deps.redis, settings, name=name, queues=[queue], gpu=True)
    try:
        runtime.portal.call(presence.refuse_double)
        configure_pool(queue)
        os.environ["CASTLINE_GPU_QUEUE"] = queue

        @signals.worker_ready.connect(weak=False)
        def begin(**_: Any) -> None:
            runtime.portal.start(presence.beat_for_ever)

        @signals.worker_shutting_down.connect(weak=False)
        def hand_over(**_: Any) -> None:
            runtime.portal.start(presence.leave)

        app.worker_main(worker_arguments(name, queue))
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        runtime.portal.call(presence.leave)
        stop_runtime()
    return 0


def configure_pool(queue: str) -> None:
    """Set what differs from the LLM workers."""
    app.conf.task_queues = [*app.conf.task_queues, queue_of(queue)]
    app.conf.broker_transport_options = transport_options("gpu", visibility_timeout_s=REDELIVER_S)
    app.conf.worker_pool_start_method = "spawn"  # fork breaks CUDA
    app.conf.task_soft_time_limit = SOFT_LIMIT_S
    app.conf.task_time_limit = HARD_LIMIT_S


def worker_arguments(name: str, queue: str) -> list[str]:
    """Build Celery's command line."""
    return [
        "worker",
        "--pool=prefork",
        "--concurrency=1",
        f"--queues={queue}",
        f"--hostname={name}",
        "--loglevel=INFO",
        "--without-gossip",
        "--without-mingle",
    ]
