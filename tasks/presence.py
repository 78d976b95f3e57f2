"""Says that a service is there: a heartbeat that `status`, submission checks and placement read."""

import asyncio
import contextlib
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextvars import Context
from pathlib import Path

import psutil
from redis.exceptions import RedisError

from tasks.connection import TextRedis
from tasks.errors import BadInputError
from tasks.llm.providers import Provider
from tasks.schemas.services import ServiceLine
from tasks.settings import Settings
from tasks.store import keys

log = logging.getLogger(__name__)

BEAT_S = 1.0
WARMING_S = 0.2
USE_EVERY_S = 5.0  # each look reads all of /proc
LEASE_MS = 8000


def pid_space() -> str:
    """Name the process ids that this process sees; "" where that cannot be told."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def has_ended(pid: int) -> bool:
    """Whether a process has ended, waited for or not; one that /proc hides from us has not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # somebody else's
        return False
    with contextlib.suppress(psutil.Error):
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    return False


class Presence:
    """The heartbeat of one service; `gpu` marks the one GPU queue that it serves."""

    def __init__(
        self,
        redis: TextRedis,
        settings: Settings,
        *,
        name: str,
        queues: Sequence[str] = (),
        gpu: bool = False,
        provider: Provider | None = None,
        holder: str = "",
        waiting: Callable[[], int] | None = None,
    ) -> None:
        self._waiting = waiting or (lambda: 0)
        self._redis = redis
        self._line = ServiceLine(
            name=name,
            pid=os.getpid(),
            pid_space=pid_space(),
            holder=holder,
            node=settings.node,
            state="starting" if gpu else "running",
            queues=tuple(queues),
            provider=provider.name if provider else "",
            model=provider.model if provider else "",
            vision=bool(provider and provider.vision_model),
            vision_model=provider.vision_model if provider else "",
            renderer=settings.renderer if gpu else "",
            batch_api=bool(provider and provider.has_batches),
            started_at=time.time(),
        )
        self._gpu = gpu
        self._left = False
        self._looked_s, self._busy_s = time.monotonic() - USE_EVERY_S, 0.0
        self._use: dict[str, float] = {}
        self._warm = not gpu

    async def beat_for_ever(self) -> None:
        """Beat until it has left, or is cancelled; a Redis that is away is waited for."""
        while not self._left:
            try:
                await self.beat()
            except (RedisError, OSError) as error:
                log.warning("no heartbeat: %s", type(error).__name__)
            await asyncio.sleep(BEAT_S if self._warm else WARMING_S)

    @contextlib.asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Beat while the block lasts, then leave."""
        beat = asyncio.create_task(self.beat_for_ever(), context=Context())
        try:
            yield
        finally:
            self._left = True  # a cancellation may get lost in a client's own timeout
            beat.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beat
            await self.leave()

    async def beat(self) -> None:
        """Say once that the service is there, unless it has left."""
        if self._left:
            return
        seconds, micros = await self._redis.time()
        now = int(seconds) * 1000 + int(micros) // 1000
        if not self._warm:
            await self._look_whether_warm()
        update = {"seen_ms": now, "waiting": self._waiting(), **self._used()}
        line = self._line.model_copy(update=update)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hset(keys.SERVICES, line.name, line.model_dump_json())
            for queue in line.queues if self._gpu and self._warm else ():
                pipe.zadd(keys.GPUS, {queue: now + LEASE_MS})
            await pipe.execute()
        if self._left:  # meanwhile: what was just written would stay for as long as a beat counts
            await self._withdraw()

    def _used(self) -> dict[str, float]:
        """Measure memory and CPU of this process and its children, every few seconds."""
        if time.monotonic() - self._looked_s < USE_EVERY_S:
            return self._use
        memory, busy_s = 0, 0.0
        me = psutil.Process()
        for process in (me, *me.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                memory += process.memory_info().rss
                times = process.cpu_times()
                busy_s += times.user + times.system
        now_s = time.monotonic()
        passed_s, spent_s = now_s - self._looked_s, busy_s - self._busy_s
        self._looked_s, self._busy_s = now_s, busy_s
        cpu = max(0.0, 100 * spent_s / passed_s) if passed_s > 0 else 0.0
        self._use = {
            "memory_bytes": memory,
            "cpu_percent": round(cpu, 1),
            "machine_cpu_percent": psutil.cpu_percent(),  # since the last look
            "machine_memory_percent": psutil.virtual_memory().percent,
        }
        return self._use

    async def _look_whether_warm(self) -> None:
        """Run only when our own child has loaded its model; before that, nothing is placed here."""
        if await self._redis.get(keys.gpu_warm(self._line.queues[0])) == str(os.getpid()):
            self._warm = True
            self._line = self._line.model_copy(update={"state": "running"})

    async def refuse_double(self) -> None:
        """Refuse to serve a GPU queue that another live process serves.

        A predecessor on this node whose process is gone does not count. Raises BadInputError.
        """
        text = await self._redis.hget(keys.SERVICES, self._line.name)
        if text is None:
            return
        other = ServiceLine.model_validate(json.loads(text))
        seconds, _ = await self._redis.time()
        fresh = other.seen_ms > int(seconds) * 1000 - LEASE_MS
        gone = other.node == self._line.node and has_ended(other.pid)
        if fresh and not gone and other.pid != self._line.pid:
            raise BadInputError(
                f"{self._line.name} is served already by process {other.pid} on {other.node}",
                hint="give this worker another --gpu, or another CASTLINE_NODE",
            )

    async def leave(self) -> None:
        """Say that the service is gone, or about to go; nothing more is placed on its queues."""
        self._left = True
        with contextlib.suppress(RedisError, OSError):
            await self._withdraw()

    async def _withdraw(self) -> None:
        await self._redis.hdel(keys.SERVICES, self._line.name)
        if self._gpu and self._line.queues:
            await self._redis.zadd(keys.GPUS, dict.fromkeys(self._line.queues, 1))
