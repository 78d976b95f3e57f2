"""What the ledger hands out: claims, stored documents, snapshots."""

import json
from dataclasses import dataclass
from typing import Any, Literal

from tasks.schemas.batches import BatchStanding
from tasks.schemas.calls import CallUsage
from tasks.schemas.frozen import Frozen
from tasks.schemas.plan import Request, StepRow, StepState

ClaimVerdict = Literal["granted", "document", "kept", "leased", "settled", "early", "unknown"]


class StoredDocument(Frozen):
    """A step's document together with what it was made from and what it cost."""

    made_from: str
    document: dict[str, Any]
    usage: CallUsage = CallUsage()

    def to_text(self) -> str:
        """Serialise for the ledger."""
        return self.model_dump_json()

    @staticmethod
    def from_text(text: str) -> "StoredDocument":
        """Read back what `to_text` wrote."""
        return StoredDocument.model_validate(json.loads(text))


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The answer to a claim.

    `fence` and `attempt` (from 1) are set when granted, `document` when there is one. `kept` says
    that a step which was due again is done with the document it had; held steps that this
    `released` are the claimant's to send.
    """

    run_id: str
    step: str
    verdict: ClaimVerdict
    fence: int = 0
    attempt: int = 0
    document: StoredDocument | None = None
    released: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Submitter:
    """Who submits a run, and until when (Redis milliseconds) they are taken to be alive."""

    owner: str
    until_ms: int

    @staticmethod
    def from_text(text: str | None) -> "Submitter | None":
        """Read it from the run's hash, where it is only while the run is being submitted."""
        if not text:
            return None
        until, owner = text.split(" ", 1)
        return Submitter(owner=owner, until_ms=int(until))


@dataclass(frozen=True, kw_only=True)
class RunSnapshot:
    """Everything of a run but its documents, at one moment. Times are Redis milliseconds."""

    run_id: str
    request: Request
    state: str
    created_ms: int
    finished_ms: int | None
    now_ms: int
    rows: dict[str, StepRow]
    states: dict[str, StepState]
    errors: dict[str, str]
    names: dict[int, str]
    counters: dict[str, float]
    cancelled: bool
    last_event: str
    batch: BatchStanding | None = None
    submitter: Submitter | None = None


@dataclass(frozen=True, kw_only=True)
class Reopened:
    """What a retry made due again: how many steps, and those that need nothing more."""

    steps: int
    due: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RunLine:
    """One run in the list of runs; `submitter` only while it is being submitted."""

    run_id: str
    kind: str
    state: str
    created_ms: int
    open_steps: int
    steps: int
    submitter: Submitter | None = None
