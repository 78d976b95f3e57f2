"""Where a call belongs and what it has cost so far."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tasks.llm.deadline import Deadline
from tasks.schemas.calls import CallUsage
from tasks.schemas.completion import Completion


@dataclass
class CallTally:
    """Adds up attempts and completions, so that failed work is counted too."""

    usage: CallUsage = field(default_factory=CallUsage)
    web_results: int = 0

    def attempt(self, *, again: bool) -> None:
        """Count one request that is about to leave."""
        self.usage += CallUsage(made=1, retried=int(again))

    def complete(self, completion: Completion) -> None:
        """Count what a completion used, and what it found on the web."""
        self.web_results += completion.web_results
        self.usage += CallUsage(
            model=completion.model,
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            seconds=completion.seconds,
        )


@dataclass(frozen=True, kw_only=True)
class CallScope:
    """Where a call belongs: `key` seeds its idempotency keys, `run_slots` caps its run (0 = no).

    Of the calls that wait in one process, those of lower `rank` go first; of one rank, flows take
    turns. `accept` raises BadReplyError for a reply that is not to be shared with later callers.
    Without a `deadline` the completer's own counts, from the call's beginning; `most_retries` caps
    the retries of each model's attempts further than their classes do.
    """

    key: str
    run_id: str = ""
    run_slots: int = 0
    rank: int = 0
    flow: str = ""
    accept: Callable[[Completion], object] | None = None
    tally: CallTally = field(default_factory=CallTally)
    deadline: Deadline | None = None
    most_retries: int | None = None
