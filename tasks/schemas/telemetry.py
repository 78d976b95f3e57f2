"""What logs and counts look like when they are read."""

from typing import Any

from tasks.schemas.frozen import Frozen


class LogLine(Frozen):
    """One line of a log: the stream's entry id (Redis milliseconds first) and what was logged."""

    id: str
    entry: dict[str, Any]

    @property
    def at_ms(self) -> int:
        """When it reached Redis."""
        return int(self.id.partition("-")[0])
