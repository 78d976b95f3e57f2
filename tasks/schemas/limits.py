"""What the gate enforces for one provider, and what it answers."""

from dataclasses import dataclass

from tasks.schemas.frozen import Frozen


class Limits(Frozen):
    """A provider's limits for the whole cluster; 0 means no limit.

    `burst_s` is how many seconds' worth of requests (and of tokens) may leave at once; what the
    burst holds is taken off the sustained rate, so no minute ever holds more than the limit.
    """

    rpm: int = 0
    tpm: int = 0
    slots: int = 20
    burst_s: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Granted:
    """A slot and its tokens are ours until the lease is settled or expires."""

    provider: str
    lease: str
    run_id: str
    tokens: int
    run_slots: int = 0


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Not now: ask again in `seconds`; `reason` is `slots`, `requests`, `tokens` or `blocked`."""

    seconds: float
    reason: str
