"""LangSmith traces: one for each run, with its steps and their model calls, across machines.

Only names, ids, models, token counts and error classes are traced, no prompt, no reply, no key.
Nothing happens, and langsmith is not imported, unless LANGSMITH_API_KEY is set. Its own thread
sends, so that a dead endpoint costs a call nothing. A run's root follows from its id alone: any
process can hang a span on it, whoever lost which message.
"""

import contextlib
import logging
import os
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from tasks.schemas.completion import Completion

FLUSH_WITHIN_S = 3.0
SAY_AGAIN_S = 300.0
UNTRACED = contextlib.nullcontext()
NAMESPACE = uuid.UUID("5a1f6a52-1d0f-4e0c-9a43-0d6a3f1f7a11")


@lru_cache(maxsize=1)
def enabled() -> bool:
    """Whether traces are wanted: a key is there and tracing is not switched off; read once."""
    off = os.environ.get("LANGSMITH_TRACING", "true").lower() in ("false", "0")
    wanted = bool(os.environ.get("LANGSMITH_API_KEY")) and not off
    if wanted:
        logging.getLogger("langsmith").addFilter(Seldom())
    return wanted


@lru_cache(maxsize=1)
def client() -> Any:
    """Open langsmith's client: short timeouts, no thread that the end of a process waits for."""
    from langsmith.run_trees import get_cached_client
    from urllib3.util import Retry

    os.environ.setdefault("LANGSMITH_USE_DAEMON", "true")
    os.environ.setdefault("LANGSMITH_DISABLE_RUN_COMPRESSION", "true")
    return get_cached_client(timeout_ms=(1000, 3000), retry_config=Retry(total=0))


class Seldom(logging.Filter):
    """Lets one message of langsmith through now and then, as one line without an address."""

    def __init__(self) -> None:
        super().__init__()
        self._next = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide on one record (logging's interface)."""
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + SAY_AGAIN_S
        record.msg, record.args = "LangSmith takes no traces at present; runs go on without", ()
        record.exc_info = record.exc_text = None
        return True


def root_of(run_id: str) -> tuple[uuid.UUID, datetime, str]:
    """A run's trace: its id, its start, its place in LangSmith's order (a dotted order)."""
    root = uuid.uuid5(NAMESPACE, run_id)
    stamp = re.match(r"(\d{8})-(\d{6})-", run_id)
    text = f"{stamp[1]}{stamp[2]}" if stamp else "20260101000000"
    start = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return root, start, f"{start:%Y%m%dT%H%M%S%f}Z{root}"


def begin_run(run_id: str, **metadata: str | int) -> None:
    """Open a run's trace; twice does no harm."""
    if not enabled():
        return
    root, start, order = root_of(run_id)
    client().create_run(
        name=run_id,
        inputs={},
        run_type="chain",
        id=root,
        trace_id=root,
        dotted_order=order,
        start_time=start,
        project_name=project(),
        extra={"metadata": metadata},
    )


def end_run(run_id: str, outputs: Mapping[str, Any]) -> None:
    """End a run's trace with counts."""
    if not enabled():
        return
    root, _, order = root_of(run_id)
    client().update_run(
        root,
        trace_id=root,
        dotted_order=order,
        end_time=datetime.now(UTC),
        outputs=dict(outputs),
    )


def traced(
    name: str, *, kind: str = "chain", run_id: str = "", **metadata: str | int
) -> contextlib.AbstractContextManager[Any]:
    """Trace a block as a child of the block around it, else of its run.

    Yields the span, None while nothing is traced. An error is traced by its class alone.
    """
    return span_of(name, kind, run_id, metadata) if enabled() else UNTRACED


@contextlib.contextmanager
def span_of(name: str, kind: str, run_id: str, metadata: Mapping[str, str | int]) -> Iterator[Any]:
    """Open a span and end it with its block."""
    from langsmith.run_helpers import get_current_run_tree, tracing_context
    from langsmith.run_trees import RunTree

    client()
    parent = get_current_run_tree()
    if parent is None and run_id:
        parent = RunTree.from_dotted_order(root_of(run_id)[2], project_name=project())
    if parent is None:
        parent = RunTree(name=name, run_type="chain", project_name=project())
    span = parent.create_child(name=name, run_type=kind, extra={"metadata": dict(metadata)})  # type: ignore[arg-type]
    span.post()
    error: str | None = None
    try:
        with tracing_context(enabled=True, parent=span):
            yield span
    except BaseException as raised:
        error = type(raised).__name__
        raise
    finally:
        span.end(error=error)
        span.patch()


def note_completion(span: Any, completion: Completion) -> None:
    """Put a completion's model and tokens on its span."""
    if span is None:
        return
    span.add_metadata({"ls_model_name": completion.model})
    span.add_outputs(
        {
            "usage_metadata": {
                "input_tokens": completion.prompt_tokens,
                "output_tokens": completion.completion_tokens,
                "total_tokens": completion.prompt_tokens + completion.completion_tokens,
            }
        }
    )


def project() -> str:
    """Name the LangSmith project."""
    return os.environ.get("LANGSMITH_PROJECT") or "castline"


def flush() -> None:
    """Send what still waits, for the end of a process; a dead endpoint is not waited for."""
    if enabled() and client.cache_info().currsize:
        client().flush(timeout=FLUSH_WITHIN_S)
