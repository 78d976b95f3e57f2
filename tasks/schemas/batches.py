"""Model calls that travel in a provider's batch: asked, under way, answered."""

from typing import Literal

from tasks.schemas.completion import Completion
from tasks.schemas.frozen import Frozen

FREE = "-"


class PendingCall(Frozen):
    """A call without an answer; `key` is its idempotency key, `body` its request's JSON."""

    key: str
    model: str
    body: str
    attempt: int = 1


class CallRow(Frozen):
    """An outstanding call as the ledger keeps it; `chunk` is `-` until it is in one."""

    key: str
    attempt: int
    chunk: str
    step: str
    size_bytes: int
    model: str

    @staticmethod
    def from_text(key: str, text: str) -> "CallRow":
        """Read `ATTEMPT CHUNK STEP SIZE MODEL`, as the scripts write it."""
        attempt, chunk, step, size, model = text.split(" ", 4)
        return CallRow(
            key=key,
            attempt=int(attempt),
            chunk=chunk,
            step=step,
            size_bytes=int(size),
            model=model,
        )


class BatchReply(Frozen):
    """What came of a call, after so many attempts: a completion, or an error.

    `again` marks an error that another attempt may mend; `status` is the HTTP status of one that a
    provider gave, 0 of any other.
    """

    key: str
    attempts: int
    completion: Completion | None = None
    error: str = ""
    status: int = 0
    again: bool = False


class Chunk(Frozen):
    """Calls of one run and one model that go to the provider together.

    It is written down before anything is sent. `planned`: nothing may have been created yet.
    `created`: the provider has the batch; `accepted`: and found nothing wrong with it;
    `cancelling`: we asked for its end. Times are Redis milliseconds.
    """

    id: str
    model: str
    calls: int
    created_ms: int
    state: Literal["planned", "created", "accepted", "cancelling"] = "planned"
    file_id: str = ""
    batch_id: str = ""
    not_before_ms: int = 0


class BatchStanding(Frozen):
    """How a run's batches stand: calls asked so far and back, outstanding ones, open batches."""

    asked: int = 0
    back: int = 0
    pending: int = 0
    submitted: int = 0
    batches: tuple[str, ...] = ()
