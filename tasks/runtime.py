"""What one worker process holds for its tasks: the loop, the dependencies, a GPU's renderers.

Workers start and stop it, Celery's signals do in pool children; tasks only ask for it.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from celery import signals
from redis.exceptions import RedisError

from tasks import crashing
from tasks.crashing import arm
from tasks.deps import Deps, open_deps
from tasks.errors import ConfigurationError, NoMemoryError, RedisAwayError
from tasks.images.renderer import Renderer, open_renderer
from tasks.logs import set_up_logging
from tasks.portal import Portal
from tasks.routing import node_label
from tasks.secrets import secrets_of
from tasks.settings import Settings, load_settings
from tasks.store import keys
from tasks.telemetry import Shipping

WARM_S = 3600


@dataclass
class Gpu:
    """The renderers of one GPU worker, opened on first use; one thread owns the device."""

    settings: Settings
    device: str
    thread: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="castline-gpu")
    )
    _open: dict[str, Renderer] = field(default_factory=dict)

    def renderer(self, spec: str) -> Renderer:
        """Return the renderer of a spec ("" = this worker's own), loading it when needed.

        Raises ConfigurationError for a spec that cannot be opened here.
        """
        spec = spec or self.settings.renderer
        if spec not in self._open:
            for other in self._open.values():
                other.close()
            self._open.clear()
            models_dir = self.settings.home_path / "models"
            self._open[spec] = open_renderer(spec, device=self.device, models_dir=models_dir)
        return self._open[spec]

    def close(self) -> None:
        """Let go of the device."""
        self.thread.shutdown(wait=True)
        for renderer in self._open.values():
            renderer.close()


@dataclass
class Runtime:
    """One process's loop and dependencies; `gpu` is None on workers that draw nothing."""

    portal: Portal
    deps: Deps
    gpu: Gpu | None = None
    shipping: Shipping | None = None

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run `function(deps, *arguments)` on the loop and wait for it.

        Raises what the function raises, but RedisAwayError for redis' own errors (the ledger sends
        the step again), and NoMemoryError for a MemoryError: Celery lets that through its own
        tracing, and the thread's slot is gone for ever (celery #10462).
        """
        try:
            return self.portal.call(function, self.deps, *arguments)
        except RedisError as error:
            raise RedisAwayError(f"Redis is away: {type(error).__name__}") from error
        except MemoryError as error:
            raise NoMemoryError("the worker ran out of memory") from error

    def warm_up(self) -> None:
        """Load this GPU worker's own model before the first picture asks for it."""
        if self.gpu is not None:
            self.gpu.thread.submit(self.gpu.renderer, "").result()

    def close(self) -> None:
        """Close everything, connections on their own loop."""
        if self.gpu is not None:
            self.gpu.close()
        if self.shipping is not None:
            self.portal.call(self.shipping.end)
        self.portal.call(self.deps.close)
        self.portal.close()


_current: Runtime | None = None


def start_runtime(settings: Settings, *, models: bool, device: str = "") -> Runtime:
    """Start this process's runtime; `models` for model calls, `device` for pictures.

    Raises ServiceAwayError without a Redis, ConfigurationError without a provider.
    """
    global _current
    if settings.crash:
        arm(settings.crash, times=settings.crash_times, folder=settings.home_path / "crashes")
        signals.task_postrun.connect(say_done, weak=False)
    portal = Portal()
    try:
        deps = portal.call(lambda: open_deps(settings, models=models))
    except BaseException:
        portal.close()
        raise
    ships = Shipping(deps)
    portal.call(ships.begin)
    _current = Runtime(portal, deps, Gpu(settings, device) if device else None, ships)
    return _current


def stop_runtime() -> None:
    """Stop this process's runtime, if there is one."""
    global _current
    if _current is not None:
        _current.close()
        _current = None


def runtime() -> Runtime:
    """Return this process's runtime. Raises ConfigurationError outside a Castline worker."""
    if _current is None:
        raise ConfigurationError(
            "this process is not a Castline worker", hint="start one with `castline worker`"
        )
    return _current


def say_done(**_: Any) -> None:
    """Pass the point where a task is done and its message not yet acknowledged."""
    crashing.here("before_ack")


@signals.worker_process_init.connect(weak=False)
def open_pool_child(**_: Any) -> None:
    """Start the runtime of a pool's child process; a GPU worker's child loads its model too.

    A solo worker is its own child and has one already.
    """
    if _current is not None:
        return
    settings = load_settings()
    kind = "gpu" if settings.device else "llm"
    set_up_logging(
        settings.log_level,
        json_lines=True,
        service=f"{kind}-{os.getppid()}.{os.getpid()}@{node_label(settings.node)}",
        secrets=secrets_of(settings),
    )
    started = start_runtime(settings, models=not settings.device, device=settings.device)
    started.warm_up()
    if settings.gpu_queue:
        started.run(say_warm, settings.gpu_queue)


async def say_warm(deps: Deps, queue: str) -> None:
    """Tell the parent's heartbeat that this queue's model is loaded."""
    await deps.redis.set(keys.gpu_warm(queue), os.getppid(), ex=WARM_S)


@signals.worker_process_shutdown.connect(weak=False)
def close_pool_child(**_: Any) -> None:
    """Let go of everything before a pool's child ends."""
    stop_runtime()
