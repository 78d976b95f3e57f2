"""What the gate enforces for one provider, and what it answers."""

from dataclasses import dataclass
from typing import Literal

from tasks.schemas.frozen import Frozen


class Limits(Frozen):
    """A provider's limits for the whole cluster; 0 means no limit.

    `burst_s` is how many seconds' worth of requests (and of tokens) may leave at once; what the
    burst holds is taken off the sustained rate, so no minute ever holds more than the limit. After
    `breaker_failures` failures in a row (0 = never) nothing is sent for `breaker_open_s` seconds,
    then one probe.
    """

    rpm: int = 0
    tpm: int = 0
    slots: int = 20
    burst_s: float = 0.5
    breaker_failures: int = 10
    breaker_open_s: float = 10.0


Ending = Literal["ok", "down", "limited", "other"]
"""How a call ended, for the breaker and the concurrency: a good answer, a network error or 5xx, a
429, anything else (which proves nothing about the provider's health)."""


@dataclass(frozen=True, kw_only=True)
class Granted:
    """A slot and its tokens are ours until the lease is settled or expires.

    `tick` is the quarter second of the grant, on the clock of whoever granted it.
    """

    provider: str
    lease: str
    run_id: str
    tokens: int
    run_slots: int = 0
    tick: int = 0


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Not now: ask again in `seconds`.

    `reason` is `slots`, `run slots`, `turn`, `requests`, `tokens`, `blocked` or `open`.
    """

    seconds: float
    reason: str


class GateState(Frozen):
    """A provider's gate at one moment, for the whole cluster.

    `slots` is the configured or changed limit, `slots_now` what repeated 429s leave of it.
    `requests_in_minute` and `tokens_in_minute` count what was granted in the last minute (tokens
    as used, or as reserved while a call is under way); None where there is no limit to count for.
    `blocked_s` is the rest of a `Retry-After`, `open_s` of an open breaker.
    """

    provider: str
    rpm: int
    tpm: int
    slots: int
    slots_now: int
    slots_in_use: int
    requests_in_minute: int | None = None
    tokens_in_minute: int | None = None
    breaker: Literal["closed", "open", "half-open"]
    failures: int
    open_s: float
    blocked_s: float
    changed: bool
