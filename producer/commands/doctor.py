"""`doctor`: is everything here that a run needs? Says what is wrong and what to type."""

import asyncio
import importlib.util
import shutil
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.markup import escape

from producer.commands.options import AsJson
from producer.console import WITH_FAILURES, data_console, print_json, reporting
from producer.probing import Probe, probed
from tasks.connection import check
from tasks.deps import open_deps
from tasks.errors import CastlineError, RedisFullError
from tasks.images.device import gpus
from tasks.llm.choosing import resolve_provider
from tasks.observing import looking
from tasks.observing.alarms import firing
from tasks.observing.services import live_services
from tasks.profiles import defaults_of
from tasks.settings import Settings, load_settings
from tasks.store import room
from tasks.store.blobs import Blobs

LEAST_FREE_BYTES = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at; `hint` is what to do when it is not well."""

    name: str
    well: bool
    found: str
    hint: str = ""


@reporting
def doctor(
    live: Annotated[
        bool, typer.Option("--live", help="Also make one cheap call to each configured provider.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check settings, Redis, provider, workers, blob store and image packages."""
    settings = load_settings()
    findings = asyncio.run(examine(settings))
    probes = asyncio.run(probed(settings)) if live else []
    well = all(f.well for f in findings) and all(p.well for p in probes)
    if as_json:
        shown = {"providers": [vars(p) for p in probes]} if live else {}
        print_json({"well": well, "checks": [vars(f) for f in findings], **shown})
    else:
        for finding in [*findings, *map(finding_of, probes)]:
            mark = "[green]ok  [/green]" if finding.well else "[red]fail[/red]"
            text = escape(f"{finding.name}: {finding.found}")
            data_console.print(f"{mark} {text}", soft_wrap=True)
            if not finding.well and finding.hint:
                data_console.print(f"       → {finding.hint}", markup=False, soft_wrap=True)
    raise typer.Exit(0 if well else WITH_FAILURES)


def finding_of(probe: Probe) -> Finding:
    """Show a provider's call as a check."""
    found = f"{probe.model} answered in {probe.seconds:.2f} s" if probe.well else probe.error
    return Finding(name=f"call to {probe.name}", well=probe.well, found=found, hint=probe.hint)


async def examine(settings: Settings) -> list[Finding]:
    """Look at everything; a check that fails becomes a finding, never an end."""
    checks: list[tuple[str, Callable[[], Coroutine[Any, Any, str]]]] = [
        ("python", python_version),
        ("profile", lambda: profile_found(settings)),
        ("redis", lambda: redis_found(settings)),
        ("provider", lambda: provider_found(settings)),
        ("workers", lambda: workers_found(settings)),
        ("alerts", lambda: alerts_found(settings)),
        ("blobs", lambda: blobs_found(settings)),
        ("disk", lambda: disk_found(settings)),
        ("images", images_found),
    ]
    return [await finding(name, look) for name, look in checks]


async def finding(name: str, look: Callable[[], Coroutine[Any, Any, str]]) -> Finding:
    """Run one check."""
    try:
        return Finding(name=name, well=True, found=await look())
    except CastlineError as error:
        return Finding(name=name, well=False, found=str(error), hint=error.hint)


async def python_version() -> str:
    """Name the interpreter."""
    return f"{sys.version.split()[0]} at {sys.executable}"


async def profile_found(settings: Settings) -> str:
    """Name the profile, what it sets, and what was set otherwise."""
    parts = []
    for name, usual in defaults_of(settings.profile).items():
        value = getattr(settings, name)
        parts.append(f"{name} {value:,}" + ("" if value == usual else f" (instead of {usual:,})"))
    return f"{settings.profile}: {', '.join(parts)}"


async def redis_found(settings: Settings) -> str:
    """Ask Redis for a sign of life."""
    url = settings.broker_url()
    await check(url)
    deps = await open_deps(settings)
    try:
        server = await deps.redis.info("server")
        found = await room.look(deps.redis)
    finally:
        await deps.close()
    name = f"{server.get('server_name', 'redis')} {server.get('redis_version')}"
    if found.share >= room.WARN_SHARE:
        raise RedisFullError(f"{name} is nearly full: {found.said}", hint="raise its maxmemory")
    return f"{name}, {found.said}"


async def provider_found(settings: Settings) -> str:
    """Resolve the provider."""
    provider = resolve_provider(settings)
    return f"{provider.name}: {provider.model} at {provider.base_url}"


async def workers_found(settings: Settings) -> str:
    """List the services that beat."""
    await check(settings.broker_url())
    deps = await open_deps(settings)
    try:
        names = [service.name for service in await live_services(deps)]
    finally:
        await deps.close()
    if not names:
        raise CastlineError("none", hint="start them with `castline up --detach`")
    return ", ".join(names)


async def alerts_found(settings: Settings) -> str:
    """Judge how the cluster stands."""
    await check(settings.broker_url())
    deps = await open_deps(settings)
    try:
        alerts = await firing(deps, await looking.look(deps))
    finally:
        await deps.close()
    if alerts:
        hints = dict.fromkeys(alert.hint for alert in alerts if alert.hint)
        raise CastlineError("; ".join(alert.text for alert in alerts), hint="; ".join(hints))
    return "none"


async def blobs_found(settings: Settings) -> str:
    """Write and read a blob."""
    blobs = Blobs(settings.blobs_url)
    await blobs.put_async("doctor/probe", b"castline")
    if await blobs.get_async("doctor/probe") != b"castline":
        raise CastlineError("a blob did not come back", hint="check CASTLINE_BLOBS")
    return settings.blobs_url


async def disk_found(settings: Settings) -> str:
    """Measure the free space where CASTLINE_HOME is."""
    folder = settings.home_path
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        raise CastlineError(f"{free / 1e9:.1f} GB free", hint=f"make room on {folder}")
    return f"{free / 1e9:.0f} GB free"


async def images_found() -> str:
    """Look for the packages that draw, and for GPUs."""
    missing = [p for p in ("torch", "diffusers", "transformers") if not importlib.util.find_spec(p)]
    if missing:
        raise CastlineError(
            f"not installed: {', '.join(missing)}", hint='pip install "castline[images]"'
        )
    found = [gpu.name for gpu in gpus()]
    return "torch and diffusers; " + (", ".join(found) if found else "no GPU, the CPU draws")
