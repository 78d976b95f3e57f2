"""Who of one line asks the gate next: by rank, then fairly across flows, then in order.

Within a rank, flows (a run's chains, a run's tweets) take turns by start-time fair queueing (Goyal,
Vin and Cheng, 1996), so a thousand calls of one do not keep ten of another waiting. The rules carry
the virtual time from line to line.
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
    inside: bool = field(default=True, compare=False)
    left: bool = field(default=False, compare=False)


class Turnstile(Generic[T]):
    """A queue of callers; it never waits, it only knows the order."""

    def __init__(self) -> None:
        self._places: list[Place[T]] = []
        self._waiting = 0
        self._order = itertools.count()
        self._virtual = 0
        self._last: dict[str, int] = {}

    def __len__(self) -> int:
        return self._waiting

    @property
    def virtual(self) -> int:
        """How far this line has come: where a flow that comes now starts."""
        return self._virtual

    def arrive(self, caller: T, *, rank: int = 0, flow: str = "") -> Place[T]:
        """Queue a caller behind those of its flow."""
        start = max(self._virtual, self._last.get(flow, 0))
        self._last[flow] = start + 1
        place = Place(rank, start, next(self._order), caller)
        heapq.heappush(self._places, place)
        self._waiting += 1
        return place

    def leave(self, place: Place[T]) -> None:
        """Forget a caller who gave up."""
        self._waiting -= place.inside and not place.left
        place.left = True

    def next(self, most: int) -> list[Place[T]]:
        """Take the first callers out, in their order; those not admitted must be put back."""
        taken: list[Place[T]] = []
        while self._places and len(taken) < most:
            place = heapq.heappop(self._places)
            place.inside = False
            if not place.left:
                taken.append(place)
        self._waiting -= len(taken)
        return taken

    def put_back(self, places: Iterable[Place[T]]) -> None:
        """Let callers wait on, each at its old place."""
        for place in places:
            if not place.left:
                place.inside = True
                heapq.heappush(self._places, place)
                self._waiting += 1

    def admit(self, place: Place[T]) -> None:
        """Note that a caller was served: flows that come later start from here."""
        self.pass_on(place.start)
        if not self._waiting:
            self._last.clear()

    def pass_on(self, virtual: int) -> None:
        """Hear how far other lines have come."""
        self._virtual = max(self._virtual, virtual)

    def shift(self, by: int) -> None:
        """Move everybody in virtual time, those included who are taken out by their own place."""
        for place in self._places:
            place.start += by
        self._last = {flow: last + by for flow, last in self._last.items()}
        self._virtual += by
