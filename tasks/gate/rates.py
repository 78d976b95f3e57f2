"""How much of a limit per minute is left: its pace and the minute itself, in microseconds."""

import math
from dataclasses import dataclass, field
from functools import lru_cache

MINUTE_US = 60_000_000
TICK_US = 250_000
TICKS = 241


@dataclass(frozen=True)
class Rate:
    """A limit per minute whose burst is taken off its sustained rate."""

    per_minute: int
    burst_s: float

    @property
    def burst(self) -> float:
        """How many may leave at once."""
        return min(self.per_minute * self.burst_s / 60, self.per_minute / 2)

    @property
    def unit_us(self) -> float:
        """How long one is paid off."""
        return MINUTE_US / (self.per_minute - self.burst)

    def cost_us(self, amount: int) -> float:
        """How long `amount` is paid off: up, in quarters, which a time since 1970 still holds."""
        return math.ceil(amount * self.unit_us * 4) / 4

    def wait_us(self, tat: float, now: int, amount: int) -> float:
        """How long until `amount` may leave, by GCRA; more than a burst goes alone."""
        room = max(0.0, (self.burst - amount) * self.unit_us)
        return max(0.0, tat - now - room)


@lru_cache(maxsize=64)
def rate(per_minute: int, burst_s: float) -> Rate:
    """Make a rate, or take the one that was made before."""
    return Rate(per_minute, burst_s)


@dataclass
class Window:
    """Requests or tokens of the last minute by quarters of a second."""

    ticks: dict[int, int] = field(default_factory=dict)

    def forget(self, tick: int) -> None:
        """Let what is older than a minute leave."""
        for old in [t for t in self.ticks if t <= tick - TICKS]:
            del self.ticks[old]

    def count(self, tick: int, amount: int) -> None:
        """Note some, or take them back."""
        self.ticks[tick] = self.ticks.get(tick, 0) + amount

    def sum(self, tick: int) -> int:
        """Sum up the minute that ends with this quarter."""
        return sum(amount for at, amount in self.ticks.items() if at > tick - TICKS)

    def wait_us(self, now: int, amount: int, limit: int) -> float:
        """How long until the minute has room; more than the limit goes alone."""
        over = sum(self.ticks.values()) - max(0, limit - amount)
        wait = 0
        for tick in sorted(self.ticks):
            if over <= 0:
                break
            over -= self.ticks[tick]
            wait = (tick + TICKS) * TICK_US - now
        return wait
