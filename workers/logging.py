"""Logs of the services: one line an entry, ids bound by Celery's signals, third parties too."""

import logging
import sys
from typing import Any

import structlog
from celery import signals

SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
QUIET = ("httpx", "aiohttp.access", "celery.worker.strategy", "celery.app.trace", "asyncio")


def set_up_logging(level: str, *, json_lines: bool) -> None:
    """Send every logger's lines to stderr: JSON for machines, readable ones for a terminal."""
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if json_lines
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


@signals.setup_logging.connect(weak=False)
def keep_our_logging(**_: Any) -> None:
    """Being connected is enough: Celery then leaves logging alone."""


@signals.task_prerun.connect(weak=False)
def bind_ids(args: tuple[Any, ...] = (), task_id: str = "", **_: Any) -> None:
    """Bind the ids of a task to all lines that are logged while it runs."""
    run_id, step = (*args, "", "")[:2]
    structlog.contextvars.bind_contextvars(run=run_id, step=step, task_id=task_id)


@signals.task_postrun.connect(weak=False)
def unbind_ids(**_: Any) -> None:
    """Forget the ids of a task that ended."""
    structlog.contextvars.clear_contextvars()
