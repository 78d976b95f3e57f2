"""Every queue name, once; who consumes which, and in what order.

A worker asks its queues in the order of their names (kombu's `sorted` strategy over BRPOP; its
`priority` strategy iterates a set), hence the digits. Threads take chains under way first, since
those are the longest path that is left; a run's window (producer/plan.py) bounds how many there
are. At the gate chains and tweets take turns, so that pictures keep the GPUs busy while later
characters are still being written (docs/decisions/0006).
"""

import re
from typing import Literal

Priority = Literal["interactive", "batch"]
Phase = Literal["chain", "rest"]

PRIORITIES: tuple[Priority, ...] = ("interactive", "batch")
PHASES: tuple[Phase, ...] = ("chain", "rest")


def llm_queue(priority: Priority, phase: Phase) -> str:
    """Name the queue of model-call tasks of one priority and phase."""
    return f"llm.{PRIORITIES.index(priority) + 1}-{priority}.{PHASES.index(phase) + 1}-{phase}"


LLM_QUEUES: tuple[str, ...] = tuple(llm_queue(p, ph) for p in PRIORITIES for ph in PHASES)


def is_work(queue: str) -> bool:
    """Whether a queue holds work of ours, not Celery's own messages."""
    return queue.startswith(("llm.", "gpu."))


def gpu_queue(node: str, index: int) -> str:
    """Name the queue of exactly one GPU; dots in the node's name become dashes."""
    return f"gpu.{node_label(node)}.{index}"


def node_label(node: str) -> str:
    """Reduce a host name to letters, digits and dashes, so that it fits into a queue name."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", node).strip("-") or "node"


def phase_of(part: str) -> Phase:
    """Name the phase of a step by its part of the step id (`core`, `t07`, `calendar`)."""
    is_tweet = part[:1] == "t" and part[1:].isdigit()
    return "rest" if part in ("core", "search") or is_tweet else "chain"


def rank_of(priority: Priority) -> int:
    """Rank a priority at the gate: 0 goes first."""
    return PRIORITIES.index(priority)
