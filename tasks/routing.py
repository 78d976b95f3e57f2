"""Every queue name, once; who consumes which, and in what order.

A worker asks its queues in the order of their names (kombu's `sorted` strategy over BRPOP; its
`priority` strategy iterates a set), hence the digits: work that continues a character goes before
work that starts one, so the first characters finish early and their pictures keep the GPUs busy
while later characters are still being written.
"""

import re
from typing import Literal

Priority = Literal["interactive", "batch"]
Phase = Literal["next", "start"]

PRIORITIES: tuple[Priority, ...] = ("interactive", "batch")
PHASES: tuple[Phase, ...] = ("next", "start")


def llm_queue(priority: Priority, phase: Phase) -> str:
    """Name the queue of model-call tasks of one priority and phase."""
    return f"llm.{PRIORITIES.index(priority) + 1}-{priority}.{PHASES.index(phase) + 1}-{phase}"


LLM_QUEUES: tuple[str, ...] = tuple(llm_queue(p, ph) for p in PRIORITIES for ph in PHASES)


def gpu_queue(node: str, index: int) -> str:
    """Name the queue of exactly one GPU; dots in the node's name become dashes."""
    return f"gpu.{node_label(node)}.{index}"


def node_label(node: str) -> str:
    """Reduce a host name to letters, digits and dashes, so that it fits into a queue name."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", node).strip("-") or "node"
