"""Who of one process asks the gate next: by rank, then fairly across flows, then in order.

Within a rank, flows (a run's chains, a run's tweets) take turns by start-time fair queueing (Goyal,
Vin and Cheng, 1996), so a thousand calls of one do not keep ten of another waiting.
"""

import heapq
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(order=True)
class Place(Generic[T]):
    """A caller's place: lower ranks first, then earlier starts, then earlier arrivals."""

    rank: int
    start: int
    order: int
    caller: T = field(compare=False)


class Turnstile(Generic[T]):
    """A queue of callers; it never waits, it only knows the order."""

    def __init__(self) -> None:
        self._waiting: list[Place[T]] = []
        self._order = itertools.count()
        self._virtual = 0
        self._last: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def arrive(self, caller: T, *, rank: int = 0, flow: str = "") -> None:
        """Queue a caller behind those of its flow."""
        start = max(self._virtual, self._last.get(flow, 0))
        self._last[flow] = start + 1
        heapq.heappush(self._waiting, Place(rank, start, next(self._order), caller))

    def next(self, most: int) -> list[Place[T]]:
        """Take the first callers out, in their order; those not admitted must be put back."""
        return [heapq.heappop(self._waiting) for _ in range(min(most, len(self._waiting)))]

    def put_back(self, places: Iterable[Place[T]]) -> None:
        """Let callers wait on, each at its old place."""
        for place in places:
            heapq.heappush(self._waiting, place)

    def admit(self, place: Place[T]) -> None:
        """Note that a caller was served: flows that come later start from here."""
        self._virtual = max(self._virtual, place.start)
        if not self._waiting:
            self._last.clear()
