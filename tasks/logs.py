"""Logs of the services: JSON lines with the ids of what is done, third parties' lines too.

Lines go to stderr and into a bounded buffer, from which `tasks.telemetry` ships them to Redis; a
full buffer drops lines and counts them, so that a log never slows or fails a call. Keys and tokens
are taken out of every line, and the values that validation errors quote; prompts are never given to
a logger. What belongs to no run of its own (a timer, a queue of commands) is started in an empty
context, so that its lines do not carry the ids of whoever happened to start it.
"""

import json
import logging
import re
import sys
import threading
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from celery import signals

QUIET = ("httpx", "aiohttp.access", "celery.worker.strategy", "celery.app.trace", "asyncio")
EXTRAS = ("run", "session", "step", "alert", "calls", "tokens", "seconds", "attempt", "model")
MOST_BUFFERED = 5000
MOST_CHARACTERS = 8000
SHORTEST_SECRET = 6
SECRETS = re.compile(
    r"\b(?:sk|gsk|pk|lsv2|castline|xai)[-_][A-Za-z0-9_\-]{16,}"
    r"|(?<=[Bb]earer )[^\s\"']+"
    r"|(?<=://)[^\s/@\"']*:[^\s/@\"']+(?=@)"
    r"|(?<=input_value=).*?(?=, input_type=)"
)
SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.ExtraAdder(allow=EXTRAS),
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


@dataclass
class LineBuffer:
    """Lines that are not shipped yet, each with its run ("" = of no run); drops when it is full.

    Threads may add while another takes.
    """

    lines: list[tuple[str, str]] = field(default_factory=list)
    dropped: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, run: str, line: str) -> None:
        """Keep a line, unless too many wait already."""
        with self._lock:
            if len(self.lines) >= MOST_BUFFERED:
                self.dropped += 1
            else:
                self.lines.append((run, line))

    def take(self) -> list[tuple[str, str]]:
        """Hand the lines over."""
        with self._lock:
            taken, self.lines = self.lines, []
        return taken

    def drop(self, count: int) -> None:
        """Count lines that were taken and could not be shipped."""
        with self._lock:
            self.dropped += count

    def forget_dropped(self) -> int:
        """Return how many lines were dropped, and begin to count anew."""
        with self._lock:
            dropped, self.dropped = self.dropped, 0
        return dropped


buffer = LineBuffer()


class Redaction:
    """Takes secrets out of a rendered line: what looks like one, and the ones that we know."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        long_enough = {secret for secret in known if len(secret) >= SHORTEST_SECRET}
        in_json = {json.dumps(secret, ensure_ascii=False)[1:-1] for secret in long_enough}
        self._known = sorted(long_enough | in_json, key=len, reverse=True)

    def __call__(self, line: str) -> str:
        """Return the line without secrets."""
        for secret in self._known:
            line = line.replace(secret, "***")
        return SECRETS.sub("***", line)


class ServiceHandler(logging.Handler):
    """Writes every record as a line to stderr and into the buffer."""

    def __init__(self, *, json_lines: bool, service: str, redact: Redaction) -> None:
        super().__init__()
        self._json = formatter(structlog.processors.JSONRenderer(ensure_ascii=False), service)
        colours = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        self._shown = self._json if json_lines else formatter(colours, "")
        self._redact = redact

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; one that cannot be written is told on stderr."""
        try:
            line = self._line(self._json, record)
            shown = line if self._shown is self._json else self._line(self._shown, record)
            sys.stderr.write(shown + "\n")
            buffer.add(run_of(record), line if len(line) <= MOST_CHARACTERS else cut(line))
        except Exception:  # noqa: BLE001  # logging's own way to say so
            self.handleError(record)

    def _line(self, write: logging.Formatter, record: logging.LogRecord) -> str:
        """Write a record without secrets, and without half characters: Redis takes none."""
        return self._redact(write.format(record)).encode(errors="replace").decode()


def run_of(record: logging.LogRecord) -> str:
    """Name the run that a record is of: its own word, else what was bound; "" = none."""
    bound = structlog.contextvars.get_contextvars().get("run", "")
    return str(getattr(record, "run", "") or bound)


def cut(line: str) -> str:
    """Shorten a long line to what is still JSON."""
    entry = json.loads(line)
    text = str(entry.get("event", ""))
    kept = {key: value for key, value in entry.items() if len(str(value)) < 200}
    return json.dumps({**kept, "event": text[:4000] + "…"}, ensure_ascii=False)


def formatter(renderer: Any, service: str) -> structlog.stdlib.ProcessorFormatter:
    """Build a formatter for every logger's records."""

    def name_service(
        _logger: Any, _method: str, entry: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        return {**entry, "service": service} if service else entry

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=SHARED,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            name_service,
            structlog.processors.format_exc_info,
            renderer,
        ],
    )


def set_up_logging(
    level: str, *, json_lines: bool, service: str = "", secrets: Iterable[str] = ()
) -> None:
    """Send every logger's lines to stderr, JSON for machines, readable ones for a terminal."""
    handler = ServiceHandler(json_lines=json_lines, service=service, redact=Redaction(secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


@signals.setup_logging.connect(weak=False)
def keep_our_logging(**_: Any) -> None:
    """Being connected is enough: Celery then leaves logging alone."""


@signals.task_prerun.connect(weak=False)
def bind_ids(task: Any, args: tuple[Any, ...] = (), task_id: str = "", **_: Any) -> None:
    """Bind the ids of a task to all lines that are logged while it runs."""
    run_id, step = (*args, "", "")[:2]
    session = {"session": run_id} if task.name.startswith("discussion.") else {}
    structlog.contextvars.bind_contextvars(run=run_id, step=step, task_id=task_id, **session)


@signals.task_postrun.connect(weak=False)
def unbind_ids(**_: Any) -> None:
    """Forget the ids of a task that ended."""
    structlog.contextvars.clear_contextvars()
