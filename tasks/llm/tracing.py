"""LangSmith traces: one for each run, its tasks and calls as children, across machines.

Only names, ids, models and token counts are traced, never a prompt or a reply. Nothing happens, and
langsmith is not imported, unless LANGSMITH_API_KEY is set; its own background thread sends, so a
dead endpoint costs a call nothing.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from celery import signals

from tasks.schemas.completion import Completion

HEADER = "langsmith"


@lru_cache(maxsize=1)
def enabled() -> bool:
    """Whether traces are wanted: a key is there and tracing is not switched off; read once."""
    off = os.environ.get("LANGSMITH_TRACING", "true").lower() in ("false", "0")
    return bool(os.environ.get("LANGSMITH_API_KEY")) and not off


@contextlib.contextmanager
def traced(
    name: str,
    *,
    kind: str = "chain",
    parent: Mapping[str, str] | None = None,
    **metadata: str | int,
) -> Iterator[Any]:
    """Trace a block as the child of `parent` (headers from a message) or of the block around it."""
    if not enabled():
        yield None
        return
    from langsmith import trace
    from langsmith.run_helpers import tracing_context

    with (
        tracing_context(enabled=True, parent=dict(parent) if parent else None),
        trace(name, run_type=kind, metadata=dict(metadata)) as run,  # type: ignore[arg-type]
    ):
        yield run


def note_completion(run: Any, completion: Completion) -> None:
    """Put a completion's model and tokens on its trace."""
    if run is None:
        return
    run.add_metadata({"ls_model_name": completion.model})
    run.end(
        outputs={
            "usage_metadata": {
                "input_tokens": completion.prompt_tokens,
                "output_tokens": completion.completion_tokens,
                "total_tokens": completion.prompt_tokens + completion.completion_tokens,
            }
        }
    )


def flush() -> None:
    """Send what is still waiting; for the end of a process."""
    if enabled():
        from langsmith.run_trees import get_cached_client

        get_cached_client().flush()


@signals.before_task_publish.connect(weak=False)
def carry_parent(headers: dict[str, Any] | None = None, **_: Any) -> None:
    """Put the current trace's ids into a message, under one key of their own."""
    if headers is None or not enabled():
        return
    from langsmith.run_helpers import get_current_run_tree

    tree = get_current_run_tree()
    if tree is not None:
        headers[HEADER] = tree.to_headers()
