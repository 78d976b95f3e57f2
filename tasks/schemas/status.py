"""How a run stands: the JSON of `run --json` and `status RUN --json`, section 8 of the design."""

from typing import Literal

from tasks.schemas.batches import BatchStanding
from tasks.schemas.frozen import Frozen
from tasks.schemas.plan import RunState, StepState


class ItemCounts(Frozen):
    """How many items of one kind there are, are done, have failed."""

    total: int = 0
    done: int = 0
    failed: int = 0


class CallCounts(Frozen):
    """Model calls: made, of which retried; and answers that came from the cache."""

    made: int = 0
    retried: int = 0
    cached: int = 0


class TokenCounts(Frozen):
    """Tokens as the provider counted them."""

    prompt: int = 0
    completion: int = 0


class FailureLine(Frozen):
    """One item that failed, at which stage, and why."""

    item: str
    stage: str
    error: str


class RunStatus(Frozen):
    """The whole of a run at one moment; `seconds` is wall time, `out` the folder if written.

    `batch` is there for runs in batch mode, `topics` for analyses.
    """

    run_id: str
    state: RunState
    personas: ItemCounts
    tweets: ItemCounts
    images: ItemCounts
    calls: CallCounts
    tokens: TokenCounts
    seconds: float
    out: str | None = None
    failures: tuple[FailureLine, ...] = ()
    batch: BatchStanding | None = None
    topics: ItemCounts | None = None


class StepEvent(Frozen):
    """One entry of a run's event stream: a step (or the run itself, `step == ""`) changed state.

    `id` is the stream's entry id, to resume after; `at_ms` is Redis time.
    """

    id: str
    step: str
    state: StepState | Literal["finished"]
    at_ms: int
    persona: int | None = None
    note: str = ""
