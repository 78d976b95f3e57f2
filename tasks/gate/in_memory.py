"""The limits of a single process, kept in memory; the rules themselves are `exchange.py`.

For a client that runs without Redis, and for tests with a clock of their own.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from tasks.gate.exchange import Books, Exchange
from tasks.gate.rates import TICK_US
from tasks.gate.rules import Answer, Question
from tasks.schemas.limits import GateState, Limits


def monotonic_us() -> int:
    """Read this process's clock."""
    return time.monotonic_ns() // 1000


class MemoryRules:
    """Rules in memory, for the coroutines of one loop; `now_us` is the clock."""

    def __init__(self, *, now_us: Callable[[], int] = monotonic_us) -> None:
        self._now_us = now_us
        self._books: dict[str, Books] = defaultdict(Books)
        self._announced: dict[str, Limits] = {}
        self._listeners: set[asyncio.Queue[str]] = set()

    async def exchange(self, question: Question) -> Answer:
        """Take slots back, then grant wishes."""
        return self._answer(question)

    def at_once(self, question: Question) -> Answer | None:
        """Do the same without waiting."""
        return self._answer(question)

    def _answer(self, question: Question) -> Answer:
        books = self._books[question.provider]
        answer, ring = Exchange(books, question, self._now_us()).answer()
        if ring:
            for listener in self._listeners:
                listener.put_nowait(question.provider)
        return answer

    async def renew(
        self, provider: str, run_id: str, lease_s: float, leases: Sequence[str]
    ) -> None:
        """Keep slots for another lease."""
        books = self._books[provider]
        until = self._now_us() + int(lease_s * 1_000_000)
        for held in (books.slots, books.run_slots[run_id]):
            held.update({lease: until for lease in leases if lease in held})

    async def block(self, provider: str, seconds: float) -> None:
        """Grant nothing for a while."""
        books = self._books[provider]
        until = self._now_us() + int(seconds * 1_000_000)
        books.blocked_until = max(books.blocked_until, until)

    async def announce(self, limits: Mapping[str, Limits]) -> None:
        """Note which providers there are."""
        self._announced.update(limits)

    async def known(self) -> list[str]:
        """List the announced providers."""
        return sorted(self._announced)

    async def change(self, provider: str, limits: Mapping[str, int]) -> None:
        """Change limits; none: the configured ones hold, and a block ends."""
        books = self._books[provider]
        if limits:
            books.changes = {**books.changes, **limits}
        else:
            books.changes, books.blocked_until = {}, 0

    async def state(self, provider: str, limits: Limits | None) -> GateState | None:
        """Read a provider's state; None when nobody announced it and `limits` is None."""
        limits = self._announced.get(provider, limits)
        if limits is None:
            return None
        books, now = self._books[provider], self._now_us()
        rpm, tpm, slots = (
            books.changes.get(name, getattr(limits, name)) for name in ("rpm", "tpm", "slots")
        )
        open_until = books.open_until
        return GateState(
            provider=provider,
            rpm=rpm,
            tpm=tpm,
            requests_in_minute=books.requests.sum(now // TICK_US) if rpm else None,
            tokens_in_minute=books.tokens.sum(now // TICK_US) if tpm else None,
            slots=slots,
            slots_now=min(slots, books.shrunk_to or slots),
            slots_in_use=sum(until > now for until in books.slots.values()),
            breaker="closed" if not open_until else "open" if open_until > now else "half-open",
            failures=books.failures,
            open_s=max(0, open_until - now) / 1e6,
            blocked_s=max(0, books.blocked_until - now) / 1e6,
            changed=bool(books.changes),
        )

    async def bells(self) -> AsyncIterator[str]:
        """Name a provider each time that a slot of it was left for another gate."""
        heard: asyncio.Queue[str] = asyncio.Queue()
        self._listeners.add(heard)
        try:
            while True:
                yield await heard.get()
        finally:
            self._listeners.discard(heard)
