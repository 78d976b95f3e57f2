"""Starts and stops the local stack through `python -m workers`, and waits until it is healthy."""

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from redis.exceptions import RedisError

from tasks.deps import open_deps
from tasks.errors import BadInputError, ServiceAwayError
from tasks.observing.services import live_services
from tasks.settings import Settings, child_environment, read_settings
from tasks.stackfile import StackNote

HEALTHY_WITHIN_S = 90.0


@dataclass(frozen=True, kw_only=True)
class StackWishes:
    """What a stack should consist of, and where it keeps its data."""

    home: Path
    gpus: int
    flower: bool = True
    environment: dict[str, str] | None = None


def start(wishes: StackWishes) -> StackNote:
    """Start the stack; its services may still be starting. Raises BadInputError."""
    arguments = ["stack-up", "--gpus", str(wishes.gpus)]
    if not wishes.flower:
        arguments.append("--no-flower")
    call_workers(arguments, wishes)
    note = read_settings(home=wishes.home).stack()
    if note is None:
        raise ServiceAwayError("the stack left no note", hint=f"look into {wishes.home}/logs")
    return note


def stop(wishes: StackWishes) -> bool:
    """Stop the stack and wait for its end; False when none ran. Raises ServiceAwayError."""
    return bool(call_workers(["stack-down"], wishes)["stopped"])


def call_workers(arguments: list[str], wishes: StackWishes) -> dict[str, object]:
    """Run `python -m workers …` to its end; its errors become ours."""
    environment = child_environment() if wishes.environment is None else wishes.environment
    done = subprocess.run(
        [sys.executable, "-m", "workers", *arguments],
        env={**environment, "CASTLINE_HOME": str(wishes.home)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return dict(json.loads(done.stdout))
    lines = [line for line in done.stderr.splitlines() if line.startswith(("castline: ", "  "))]
    message = lines[0].removeprefix("castline: ") if lines else done.stderr[-2000:]
    hint = lines[1].strip() if len(lines) > 1 else f"look into {wishes.home}/logs"
    raise (ServiceAwayError if done.returncode == 69 else BadInputError)(message, hint=hint)


async def wait_until_healthy(settings: Settings, wishes: StackWishes) -> None:
    """Wait until Redis answers and every service beats. Raises ServiceAwayError after 90 s."""
    deadline = time.monotonic() + HEALTHY_WITHIN_S
    missing: list[str] = ["redis"]
    while missing:
        if time.monotonic() > deadline:
            raise ServiceAwayError(
                f"not healthy after {HEALTHY_WITHIN_S:.0f} s: {', '.join(missing)}",
                hint=last_words(wishes.home, missing) or f"look into {wishes.home}/logs",
            )
        await asyncio.sleep(0.2)
        missing = await missing_services(settings, wishes)


def last_words(home: Path, services: list[str]) -> str:
    """Find what a service that will not start said last; "" when it said nothing to people."""
    for service in services:
        log = home / "logs" / f"{service}.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        said = [line for line in lines if line.startswith("castline: ")]
        if said:
            return f"{service} says: {said[-1].removeprefix('castline: ')}"
    return ""


async def missing_services(settings: Settings, wishes: StackWishes) -> list[str]:
    """Name the services that are not there yet."""
    try:
        deps = await open_deps(settings)
        try:
            names = [s.name for s in await live_services(deps) if s.state == "running"]
        finally:
            await deps.close()
    except (RedisError, OSError):
        return ["redis"]
    kinds = ["upkeep-", "llm-", *(f"gpu-{index}@" for index in range(wishes.gpus))]
    missing = [kind.rstrip("-@") for kind in kinds if not any(n.startswith(kind) for n in names)]
    note = settings.stack()
    if wishes.flower and note and not await answers(note.flower_url):
        missing.append("flower")
    return missing


async def answers(url: str) -> bool:
    """Whether a web page answers at all."""
    import httpx  # a stack without Flower never asks

    try:
        async with httpx.AsyncClient(timeout=2.0) as client:
            return (await client.get(f"{url}/healthcheck")).status_code < 500
    except httpx.HTTPError:
        return False
