"""`python -m workers …`: what `castline worker`, `up` and `down` start; not for typing by hand."""

import argparse
import asyncio
import json
import logging
import os
import sys

from tasks.errors import CastlineError, ServiceAwayError
from tasks.logs import set_up_logging
from tasks.routing import node_label
from tasks.secrets import secrets_of
from tasks.settings import Settings, load_settings

OK, BAD_INPUT, SERVICE_AWAY = 0, 2, 69


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    root = argparse.ArgumentParser(prog="python -m workers", description=__doc__)
    commands = root.add_subparsers(dest="command", required=True)
    llm = commands.add_parser("llm")
    llm.add_argument("--concurrency", type=int, default=0)
    llm.add_argument("--pool", choices=("threads", "prefork", "solo"), default="threads")
    gpu = commands.add_parser("gpu")
    gpu.add_argument("--index", type=int, required=True)
    commands.add_parser("upkeep")
    commands.add_parser("health")
    flower = commands.add_parser("flower")
    flower.add_argument("--address", required=True)
    flower.add_argument("--port", type=int, required=True)
    up = commands.add_parser("stack-up")
    up.add_argument("--gpus", type=int, required=True)
    up.add_argument("--no-flower", action="store_true")
    commands.add_parser("stack-down")
    return root


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Run one command; heavy imports happen in the branch that needs them."""
    if options.command == "llm":
        from workers.llm import run_llm_worker

        concurrency = options.concurrency or settings.llm_concurrency
        return run_llm_worker(settings, concurrency=concurrency, pool=options.pool)
    if options.command == "gpu":
        from workers.gpu import run_gpu_worker

        return run_gpu_worker(settings, index=options.index)
    if options.command == "upkeep":
        from workers.upkeep import run_upkeep

        return asyncio.run(run_upkeep(settings))
    if options.command == "health":
        from workers.health import is_alive

        return OK if is_alive(settings) else SERVICE_AWAY
    if options.command == "flower":
        from workers.flower import run_flower

        return run_flower(settings, address=options.address, port=options.port)
    return run_stack(options, settings)


def run_stack(options: argparse.Namespace, settings: Settings) -> int:
    """Start or stop the local stack; says what it did as JSON on stdout."""
    from workers.stack import plan_stack
    from workers.supervision import start_stack, stop_stack

    if options.command == "stack-down":
        sys.stdout.write(json.dumps({"stopped": stop_stack(settings.home_path)}))
        return OK
    plan = plan_stack(settings, gpus=options.gpus, flower=not options.no_flower)
    process = start_stack(settings, plan)
    sys.stdout.write(
        json.dumps({"supervisor_pid": process.pid, "services": [s.name for s in plan.services]})
    )
    return OK


def main() -> int:
    """Run a command and turn our errors into a line and an exit code."""
    options = parser().parse_args()
    try:
        settings = load_settings()
        set_up_logging(
            settings.log_level,
            json_lines=not sys.stderr.isatty(),
            service=f"{options.command}-{os.getpid()}@{node_label(settings.node)}",
            secrets=secrets_of(settings),
        )
        return run(options, settings)
    except CastlineError as error:
        hint = f"\n  → {error.hint}" if error.hint else ""
        logging.getLogger("castline").debug("exit", exc_info=True)
        sys.stderr.write(f"castline: {error}{hint}\n")
        return SERVICE_AWAY if isinstance(error, ServiceAwayError) else BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
