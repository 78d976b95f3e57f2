"""What is in quarantine: messages that are none of ours, and steps that nobody could end."""

from typing import Literal

from tasks.schemas.frozen import Frozen


class BadMessage(Frozen):
    """A message that no worker was handed. `raw` is base64; `cut`: only its beginning is kept."""

    id: str
    queue: str
    at_ms: int
    reason: str
    size_bytes: int
    raw: str
    cut: bool = False


class QuarantineLine(Frozen):
    """One entry of the list: a message by its id, a step as `RUN:STEP`."""

    id: str
    kind: Literal["message", "step"]
    at_ms: int
    place: str
    reason: str


class QuarantineCounts(Frozen):
    """How many there are now; `dropped_messages` were the oldest when there were too many."""

    messages: int
    steps: int
    dropped_messages: int = 0
