"""What a step in batch mode knows, and how it says that it must wait."""

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.errors import CastlineError
from tasks.schemas.batches import BatchReply, PendingCall


@dataclass(frozen=True)
class KnownReplies:
    """A step's replies by key; `size_bytes` tells later whether more have come."""

    replies: Mapping[str, BatchReply]
    size_bytes: int


class PendingRepliesError(CastlineError):
    """The step cannot go on before these calls are answered; no failure."""

    def __init__(self, calls: tuple[PendingCall, ...], *, known_bytes: int) -> None:
        super().__init__(f"{len(calls)} calls wait for the provider's batch")
        self.calls = calls
        self.known_bytes = known_bytes
