"""The plan of a run: its steps, what each waits for, and the request it came from."""

from typing import Literal

from pydantic import Field

from tasks.routing import Priority
from tasks.schemas.analyses import Analysis
from tasks.schemas.discussions import Discussion
from tasks.schemas.frozen import Frozen

RunKind = Literal["run", "persona", "tweets", "images", "discussion", "analysis"]
Language = Literal["en", "zh"]
StepKind = Literal[
    "stage",
    "calendar",
    "tweet",
    "collect",
    "portrait",
    "picture",
    "turn",
    "summary",
    "search",
    "analysis",
]
StepState = Literal["waiting", "running", "done", "failed", "cancelled", "quarantined"]
RunState = Literal["submitting", "incomplete", "running", "done", "partial", "failed", "cancelled"]

GATHERS: frozenset[StepKind] = frozenset({"collect", "turn", "summary"})
SETTLED: frozenset[StepState] = frozenset({"done", "failed", "cancelled", "quarantined"})

STAGES: tuple[str, ...] = (
    "core",
    "strategy",
    "examples",
    "social",
    "authenticity",
    "visual",
    "knowledge",
)


class StepRow(Frozen):
    """One unit of work that is claimed, done and stored as a whole.

    `id` is `p3.core`, `p3.assemble`, `p3.calendar`, `p3.t07`, `p3.collect`, `p3.portrait` or
    `p3.i07`; `item` is what a user counts (`p3`, `p3.t07`, `p3.i07`). `needs` are the steps that
    must settle before this one is due. A step whose needed step failed fails with it, unless it
    is a `collect`, a turn or a summary, which take whatever there is. `calls` is how many
    model calls it usually takes.
    """

    id: str
    kind: StepKind
    item: str
    persona: int
    needs: tuple[str, ...] = ()
    calls: int = 0


class Source(Frozen):
    """Where one character comes from: a brief's text, or a picture in the blob store, or both."""

    label: str
    text: str = ""
    image_blob: str = ""
    card_json: str = ""
    variant: int = 1
    variants: int = 1


class Request(Frozen):
    """What the user asked for, after validation; stored with the run, never in a message.

    `owner` is who may see the run over HTTP; "" for runs of the command line.
    """

    kind: RunKind = "run"
    sources: tuple[Source, ...]
    tweets: int = Field(default=0, ge=0)
    images: bool = False
    language: Language = "en"
    priority: Priority = "interactive"
    max_concurrent: int | None = None
    calendars: tuple[str, ...] = ()
    first_day: str = ""
    renderer: str = ""
    image_size: tuple[int, int] = (0, 0)
    gpus: int = 0
    seed: int = 0
    out: str = ""
    batch_api: bool = False
    discussion: Discussion | None = None
    analysis: Analysis | None = None
    owner: str = ""


class RunPlan(Frozen):
    """Everything that is written to the ledger before the first message is sent."""

    run_id: str
    request: Request
    steps: tuple[StepRow, ...]
    documents: dict[str, dict[str, object]] = Field(default_factory=dict)

    @property
    def calls(self) -> int:
        """How many model calls the run will usually take."""
        return sum(row.calls for row in self.steps if row.id not in self.documents)
