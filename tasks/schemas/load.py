"""How loaded the cluster is: what is still to be called, how fast calls go, what that means."""

from typing import Literal

from tasks.schemas.frozen import Frozen

LoadState = Literal["low", "high", "overloaded"]
"""low: a run's first calls leave at once; high: they wait behind others; overloaded: no new run."""


class Backlog(Frozen):
    """Model calls that open runs still have to make, by priority; those under way included."""

    interactive: int = 0
    batch: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.interactive + self.batch


class Pace(Frozen):
    """What one model call took lately, on average."""

    seconds_a_call: float
    tokens_a_call: float


class Thresholds(Frozen):
    """From how many calls that are before it a run waits (`high`), or is refused (`most`)."""

    high: int
    most: int


class Load(Frozen):
    """The load at one moment.

    `state` is what a new batch run meets, `interactive_state` what an interactive one meets: calls
    of batch runs go after its own and do not count against it. `drain_s` is how long the queued
    calls will take (`interactive_drain_s` those of interactive runs), None while nobody could say.
    """

    state: LoadState
    interactive_state: LoadState
    queued_calls: int
    interactive_calls: int
    drain_s: float | None
    interactive_drain_s: float | None
    high_calls: int
    most_calls: int
