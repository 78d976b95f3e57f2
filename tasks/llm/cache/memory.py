"""The shelf of a single process: the same as the one in Redis, for clients that run without."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from tasks.llm.cache.shelf import Kind, Place

MOST_ENTRIES = 1000


@dataclass(frozen=True)
class Entry:
    """One entry: `kind` is `flight`, `kept` or `handed`; `until` is on the shelf's clock."""

    kind: str
    token: str
    text: str
    until: float


class MemoryShelf:
    """Keeps at most MOST_ENTRIES entries; the oldest go first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: dict[str, Entry] = {}

    async def ask(self, entry: str, *, token: str, waited_for: str, lease_s: float) -> Place:
        """Look, or lead: see Shelf.ask."""
        found = self._live(entry)
        if found is not None:
            if found.kind == "kept" or (found.kind == "handed" and found.token == waited_for):
                return Place("found", text=found.text)
            if found.kind == "flight" and found.token != token:
                return Place("wait", leader=found.token)
        self._set(entry, "flight", token, "", lease_s)
        return Place("lead")

    async def renew(self, entry: str, *, token: str, lease_s: float) -> None:
        """Go on leading: see Shelf.renew."""
        if self._leads(entry, token):
            self._set(entry, "flight", token, "", lease_s)

    async def put(self, entry: str, *, token: str, kind: Kind, text: str, ttl_s: float) -> None:
        """Share an outcome: see Shelf.put."""
        found = self._live(entry)
        better = kind == "kept" and (found is None or found.kind != "kept")
        if better or self._leads(entry, token):
            self._set(entry, kind, token, text, ttl_s)

    async def step_down(self, entry: str, *, token: str) -> None:
        """Stop leading: see Shelf.step_down."""
        if self._leads(entry, token):
            del self._entries[entry]

    def _leads(self, entry: str, token: str) -> bool:
        found = self._live(entry)
        return found is not None and found.kind == "flight" and found.token == token

    def _live(self, entry: str) -> Entry | None:
        found = self._entries.get(entry)
        return found if found is not None and found.until > self._clock() else None

    def _set(self, entry: str, kind: str, token: str, text: str, ttl_s: float) -> None:
        self._entries.pop(entry, None)
        while len(self._entries) >= MOST_ENTRIES:
            self._entries.pop(next(iter(self._entries)))
        self._entries[entry] = Entry(kind, token, text, self._clock() + ttl_s)
