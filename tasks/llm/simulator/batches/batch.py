"""One batch: its states, their times, its counts."""

import uuid
from dataclasses import dataclass, field
from typing import Any, Literal

from tasks.llm.simulator.batches.lines import ENDPOINT, LineError

Status = Literal[
    "validating",
    "failed",
    "in_progress",
    "finalizing",
    "completed",
    "expired",
    "cancelling",
    "cancelled",
]
ENDED: frozenset[Status] = frozenset({"failed", "completed", "expired", "cancelled"})
_WINDOW = "24h"


@dataclass(kw_only=True)
class Batch:
    """A batch and where it stands; times are Unix seconds."""

    input_file_id: str
    metadata: dict[str, str] | None
    expires_at: int
    id: str = field(default_factory=lambda: f"batch_{uuid.uuid4().hex}")
    status: Status = "validating"
    times: dict[str, int] = field(default_factory=dict)
    errors: list[LineError] = field(default_factory=list)
    total: int = 0
    completed: int = 0
    failed: int = 0
    output_file_id: str | None = None
    error_file_id: str | None = None

    def move(self, status: Status, now: float) -> None:
        """Enter a state."""
        self.status = status
        self.times[f"{status}_at"] = int(now)

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.status in ENDED

    def shown(self) -> dict[str, Any]:
        """The batch object of the API."""
        moments = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling",
                   "cancelled")  # fmt: skip
        errors = [error.shown() for error in self.errors]
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": ENDPOINT,
            "errors": {"object": "list", "data": errors} if errors else None,
            "input_file_id": self.input_file_id,
            "completion_window": _WINDOW,
            "status": self.status,
            "output_file_id": self.output_file_id,
            "error_file_id": self.error_file_id,
            "created_at": self.times.get("validating_at"),
            "expires_at": self.expires_at,
            **{f"{moment}_at": self.times.get(f"{moment}_at") for moment in moments},
            "request_counts": {
                "total": self.total,
                "completed": self.completed,
                "failed": self.failed,
            },
            "metadata": self.metadata,
        }
