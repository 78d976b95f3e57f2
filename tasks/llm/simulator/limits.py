"""What the simulated provider grants now: requests and tokens a minute, and calls at once.

Time is handed in (monotonic seconds). A refusal spends nothing.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from tasks.llm.simulator.options import SimulatorOptions

_MINUTE_S = 60.0
_SLOT_WAIT_S = 1.0


class Refusal(NamedTuple):
    """Which limit refused (`rpm`, `tpm`, `slots`), and in how many seconds to come back."""

    limit: str
    wait_s: float


class _Meter(Protocol):
    def wait_s(self, cost: float, now: float) -> float: ...

    def spend(self, cost: float, now: float) -> None: ...


class TokenBucket:
    """`rate_per_min` refilled evenly, at most `capacity` at once.

    A cost above the capacity passes when the bucket is full, and leaves a debt.
    """

    def __init__(self, *, rate_per_min: float, capacity: float, now: float) -> None:
        self._rate_per_s = rate_per_min / _MINUTE_S
        self._capacity = capacity
        self._level = capacity
        self._at = now

    def wait_s(self, cost: float, now: float) -> float:
        """Seconds until this cost may be spent; 0 for now."""
        missing = min(cost, self._capacity) - self._level_at(now)
        # what floating point leaves over is not worth another round trip
        return missing / self._rate_per_s if missing > 1e-9 else 0.0

    def spend(self, cost: float, now: float) -> None:
        """Take the cost out; call only when `wait_s` was 0."""
        self._level = self._level_at(now) - cost
        self._at = now

    def _level_at(self, now: float) -> float:
        return min(self._capacity, self._level + (now - self._at) * self._rate_per_s)


class SlidingWindow:
    """At most `limit` in any 60 s; a single cost above the limit passes when nothing else is in."""

    def __init__(self, *, limit: float) -> None:
        self._limit = limit
        self._spent: deque[tuple[float, float]] = deque()
        self._sum = 0.0

    def wait_s(self, cost: float, now: float) -> float:
        """Seconds until this cost may be spent; 0 for now."""
        while self._spent and self._spent[0][0] <= now - _MINUTE_S:
            self._sum -= self._spent.popleft()[1]
        over = self._sum + cost - self._limit
        if over <= 0 or not self._spent:
            return 0.0
        for at, spent in self._spent:
            over -= spent
            if over <= 0:
                return at + _MINUTE_S - now
        return self._spent[-1][0] + _MINUTE_S - now

    def spend(self, cost: float, now: float) -> None:
        """Count the cost; call only when `wait_s` was 0."""
        self._spent.append((now, cost))
        self._sum += cost


class Limits:
    """All limits of one provider together: all grant, or none spends."""

    def __init__(self, options: SimulatorOptions, clock: Callable[[], float]) -> None:
        self._options = options
        self._clock = clock
        self._slots = options.slots
        self._in_flight = 0
        self.refill()

    def refill(self) -> None:
        """Forget what was spent; slots that are taken stay taken."""
        now = self._clock()
        rpm, tpm = self._options.rpm, self._options.tpm
        window = self._options.limit_mode == "window"
        burst = self._options.burst or rpm / _MINUTE_S
        self._rpm = _meter(rpm, burst, now, window=window)
        self._tpm = _meter(tpm, tpm / _MINUTE_S, now, window=window)

    @property
    def counts_tokens(self) -> bool:
        """Whether `admit` needs the true token count."""
        return self._tpm is not None

    def admit(self, tokens: int) -> Refusal | None:
        """Take a slot, a request and the tokens; or say which limit refuses."""
        now = self._clock()
        if self._slots and self._in_flight >= self._slots:
            return Refusal("slots", _SLOT_WAIT_S)
        for limit, meter, cost in (("rpm", self._rpm, 1), ("tpm", self._tpm, tokens)):
            if meter is not None and (wait_s := meter.wait_s(cost, now)) > 0:
                return Refusal(limit, wait_s)
        for meter, cost in ((self._rpm, 1), (self._tpm, tokens)):
            if meter is not None:
                meter.spend(cost, now)
        self._in_flight += 1
        return None

    def leave(self) -> None:
        """Give the slot back."""
        self._in_flight -= 1


def _meter(per_min: int, burst: float, now: float, *, window: bool) -> _Meter | None:
    if not per_min:
        return None
    if window:
        return SlidingWindow(limit=per_min)
    return TokenBucket(rate_per_min=per_min, capacity=max(1.0, burst), now=now)
