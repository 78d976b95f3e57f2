"""`worker llm|gpu|upkeep` and `flower`: one process here, replaced by the worker itself."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from producer.console import reporting, say
from tasks.errors import BadInputError
from tasks.images.device import gpus as list_gpus
from tasks.settings import child_environment, load_settings

worker = typer.Typer(help="Start one worker on this machine.", no_args_is_help=True)

RESTART_AFTER_S = 1.0
DEVICE_VARIABLE = "CASTLINE_DEVICE"


def become(arguments: Sequence[str], environment: dict[str, str]) -> NoReturn:
    """Replace this process by `python -m workers …`, so that signals reach the worker itself."""
    command = [sys.executable, "-m", "workers", *arguments]
    os.execve(sys.executable, command, environment)  # noqa: S606  # our own interpreter, no shell


@worker.command("llm")
@reporting
def llm(
    concurrency: Annotated[
        int,
        typer.Option(
            "--concurrency",
            min=0,
            max=1000,
            help="Threads (0: the setting's) or processes (0: one for each core).",
        ),
    ] = 0,
    pool: Annotated[
        str, typer.Option("--pool", help="threads, prefork (processes) or solo (one at a time).")
    ] = "threads",
) -> None:
    """Work on model calls: a pool of threads over one event loop, unless --pool says otherwise."""
    settings = load_settings()
    settings.broker_url()
    chosen = pool_size(pool, concurrency, threads=settings.llm_concurrency)
    become(["llm", "--pool", pool, "--concurrency", str(chosen)], child_environment())


def pool_size(pool: str, concurrency: int, *, threads: int) -> int:
    """Choose how many steps a worker does at once. Raises BadInputError for an unknown pool."""
    if pool not in ("threads", "prefork", "solo"):
        raise BadInputError(
            f"--pool {pool!r} is unknown", hint="one of: threads, prefork, solo (docs/pools.md)"
        )
    if pool == "solo":
        if concurrency > 1:
            raise BadInputError(
                "a solo worker does one step at a time", hint="leave --concurrency out"
            )
        return 1
    return concurrency or (threads if pool == "threads" else os.cpu_count() or 1)


@worker.command("upkeep")
@reporting
def upkeep(
    metrics_port: Annotated[
        int,
        typer.Option(
            "--metrics-port", min=0, max=65535, help="Serve the cluster's metrics here; 0 = no."
        ),
    ] = 0,
) -> None:
    """Re-send what messages lost and keep GPUs busy; one process leads in the cluster."""
    load_settings().broker_url()
    extra = {"CASTLINE_METRICS_PORT": str(metrics_port)} if metrics_port else {}
    become(["upkeep"], child_environment(**extra))


@worker.command("gpu")
@reporting
def gpu(
    indexes: Annotated[list[int], typer.Option("--gpu", min=0, help="Index of a GPU.")] = [],
    every: Annotated[bool, typer.Option("--all", help="One worker for each GPU here.")] = False,
    device: Annotated[str, typer.Option("--device", help="auto, cuda or cpu.")] = "auto",
    renderer: Annotated[
        str, typer.Option("--renderer", help="tiny, default, sleep:SECONDS or diffusers:MODEL.")
    ] = "",
) -> None:
    """Draw pictures: one pinned worker for each GPU, each on its own queue."""
    load_settings().broker_url()
    chosen = choose_indexes(indexes, every=every, device=device)
    environments = [pinned(index, device, renderer) for index in chosen]
    if len(chosen) == 1:
        become(["gpu", "--index", str(chosen[0])], environments[0])
    raise typer.Exit(run_fleet(chosen, environments))


def choose_indexes(indexes: list[int], *, every: bool, device: str) -> list[int]:
    """Choose the GPUs to serve. Raises BadInputError when there is none, or no choice."""
    if device not in ("auto", "cuda", "cpu"):
        raise BadInputError(f"--device {device!r} is unknown", hint="one of: auto, cuda, cpu")
    if every and indexes:
        raise BadInputError("--all and --gpu exclude each other", hint="give one of them")
    if every:
        found = [gpu.index for gpu in list_gpus()]
        if not found:
            raise BadInputError("there is no GPU here", hint="draw on the CPU with --device cpu")
        return found
    if len(set(indexes)) != len(indexes):
        raise BadInputError("a --gpu is given twice", hint="each GPU has one worker")
    if not indexes and device != "cpu":
        raise BadInputError("which GPU?", hint="give --gpu INDEX, --all, or --device cpu")
    return indexes or [0]


def pinned(index: int, device: str, renderer: str) -> dict[str, str]:
    """Build the environment that pins a worker to one device before its Python starts."""
    present = {gpu.index for gpu in list_gpus()} if device != "cpu" else set()
    if device == "cuda" and index not in present:
        raise BadInputError(f"there is no GPU {index} here", hint="`nvidia-smi -L` lists them")
    on_cuda = index in present
    extra = {DEVICE_VARIABLE: "cuda" if on_cuda else "cpu"}
    extra["CUDA_VISIBLE_DEVICES"] = str(index) if on_cuda else ""
    if renderer:
        extra["CASTLINE_RENDERER"] = renderer
    return child_environment(**extra)


def run_fleet(indexes: list[int], environments: list[dict[str, str]]) -> int:
    """Keep one worker process per GPU until SIGTERM or Ctrl-C; returns the exit code."""
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, _frame: stopping.append(signum))
    fleet = {i: spawn(i, e) for i, e in zip(indexes, environments, strict=True)}
    while not stopping:
        time.sleep(RESTART_AFTER_S)
        for index, environment in zip(indexes, environments, strict=True):
            code = fleet[index].poll()
            if code is not None and not stopping:
                say(f"worker of GPU {index} ended with {code}; starting it again")
                fleet[index] = spawn(index, environment)
    for process in fleet.values():
        process.send_signal(signal.SIGTERM)
    return max(process.wait() for process in fleet.values())


def spawn(index: int, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start one GPU's worker."""
    command = [sys.executable, "-m", "workers", "gpu", "--index", str(index)]
    return subprocess.Popen(command, env=environment)


@reporting
def flower(
    address: Annotated[str, typer.Option("--address", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 5555,
) -> None:
    """Serve Flower, the monitor of tasks and workers."""
    settings = load_settings()
    settings.broker_url()
    if address not in ("127.0.0.1", "localhost", "::1") and settings.flower_auth is None:
        raise BadInputError(
            f"Flower on {address} would be open to everybody",
            hint="set CASTLINE_FLOWER_AUTH=user:password, or listen on 127.0.0.1",
        )
    become(["flower", "--address", address, "--port", str(port)], child_environment())
