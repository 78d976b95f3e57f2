"""What a gate asks of whoever keeps the limits, and what it is told; kept in Redis or in memory."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from tasks.schemas.limits import Ending, GateState, Granted, Limits


class Wish(NamedTuple):
    """A call that would like to leave; lower ranks go first, then earlier starts."""

    call: Granted
    rank: int = 0
    start: int = 0


class Return(NamedTuple):
    """A slot that comes back: tokens its call really used, how it ended, whether it ever left."""

    call: Granted
    used: int
    ending: Ending = "other"
    sent: bool = True


class Question(NamedTuple):
    """What one line of callers returns and wishes, all of one provider and one run's cap.

    `line` names the line, "" asks past all lines. A `fresh` line joins the others where they are.
    `waiting` counts its callers, wishes included.
    """

    provider: str
    limits: Limits
    lease_s: float
    run_id: str = ""
    run_slots: int = 0
    line: str = ""
    fresh: bool = False
    waiting: int = 0
    returns: Sequence[Return] = ()
    wishes: Sequence[Wish] = ()


class Answer(NamedTuple):
    """How many wishes were granted, in their order; how long the next must wait, and for what.

    `tick` is the quarter second of the grants on the rules' clock, `virtual` how far the lines have
    come, `shift` by how much a fresh line was moved to be there.
    """

    granted: int
    wait_s: float = 0.0
    reason: str = ""
    tick: int = 0
    virtual: int = 0
    shift: int = 0


class Rules(Protocol):
    """Decides, all or nothing for each wish, for everybody who shares it.

    Raises ServiceAwayError when the limits cannot be read: then nothing is granted.
    """

    async def exchange(self, question: Question) -> Answer:
        """Take slots back, then grant wishes in their order until one cannot be."""

    def at_once(self, question: Question) -> Answer | None:
        """Do the same without waiting; None, and nothing, where somebody else must be asked."""

    async def renew(
        self, provider: str, run_id: str, lease_s: float, leases: Sequence[str]
    ) -> None:
        """Keep slots that are still held for another lease."""

    async def block(self, provider: str, seconds: float) -> None:
        """Grant nothing of a provider for a while; a longer block stays."""

    async def announce(self, limits: Mapping[str, Limits]) -> None:
        """Note which providers there are, for whoever looks."""

    async def known(self) -> list[str]:
        """List the announced providers."""

    async def change(self, provider: str, limits: Mapping[str, int]) -> None:
        """Change `slots`, `rpm`, `tpm` for everybody.

        Without any, the configured ones hold and a block ends.
        """

    async def state(self, provider: str, limits: Limits | None) -> GateState | None:
        """Read a provider's state; None when neither announced nor given by `limits`."""

    def bells(self) -> AsyncIterator[str]:
        """Name a provider each time that a slot of it was left for somebody else."""
