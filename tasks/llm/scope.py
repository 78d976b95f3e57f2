"""Where a call belongs and what it has cost so far."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tasks.llm.deadline import Deadline
from tasks.schemas.calls import CallUsage
from tasks.schemas.completion import Completion


@dataclass
class CallTally:
    """Adds up attempts and completions, so that failed work is counted too."""

    model: str = ""
    made: int = 0
    retried: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    web_results: int = 0
    resumed: bool = False  # somebody has held the step before: answers of his may be kept
    kept: bool = False  # answers are kept, to be dropped when the step has ended

    def attempt(self, *, again: bool) -> None:
        """Count one request that is about to leave."""
        self.made += 1
        self.retried += again

    def complete(self, completion: Completion) -> None:
        """Count what a completion used, and what it found on the web."""
        self.model = completion.model or self.model
        self.prompt_tokens += completion.prompt_tokens
        self.completion_tokens += completion.completion_tokens
        self.seconds += completion.seconds
        self.web_results += completion.web_results

    def share(self, model: str) -> None:
        """Count somebody else's reply."""
        self.model = model or self.model
        self.cached += 1

    def pay(self, other: "CallTally") -> None:
        """Take over what a call cost that was made for several."""
        self.model = other.model or self.model
        self.made += other.made
        self.retried += other.retried
        self.cached += other.cached
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        self.seconds += other.seconds

    @property
    def usage(self) -> CallUsage:
        """What it came to so far."""
        return CallUsage(
            model=self.model,
            made=self.made,
            retried=self.retried,
            cached=self.cached,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            seconds=self.seconds,
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
