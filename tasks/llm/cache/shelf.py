"""Where replies are shared: what any shelf does; `tasks.llm.cache.caching` decides what goes there.

One of those who ask for the same entry leads and makes the call; the others wait for its outcome. A
leader that dies is followed by exactly one other when its lease ends.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

Verdict = Literal["lead", "wait", "found"]
Kind = Literal["kept", "handed"]


@dataclass(frozen=True)
class Place:
    """Where an asker stands: it leads, it waits for the leader `leader`, or it found `text`."""

    verdict: Verdict
    leader: str = ""
    text: str = ""


class Shelf(Protocol):
    """Entries by hash. Everything raises ServiceAwayError when the shelf cannot be reached."""

    async def ask(self, entry: str, *, token: str, waited_for: str, lease_s: float) -> Place:
        """Look for an outcome, else lead for `lease_s` unless somebody does.

        `token` names the asker, `waited_for` the leader that it has waited for ("" = none).
        """

    async def renew(self, entry: str, *, token: str, lease_s: float) -> None:
        """Go on leading; a place that is lost stays lost."""

    async def put(self, entry: str, *, token: str, kind: Kind, text: str, ttl_s: float) -> None:
        """Share the leader's outcome: `kept` for everybody, `handed` for those only who waited."""

    async def step_down(self, entry: str, *, token: str) -> None:
        """Stop leading without an outcome: the next who asks leads at once."""
