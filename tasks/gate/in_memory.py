"""The limits of a single process, kept in memory: the twin of `lua/exchange.lua`, rule by rule.

For a client that runs without Redis, and for tests with a clock of their own. All times are in
microseconds, as in the script, so that both round alike.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tasks.gate.rules import Answer, Question, Return, Wish
from tasks.schemas.limits import GateState, Limits

TICK_US = 250_000
TICKS = 241
TOLERANCE = 4
RANK = 2**40
LINE_US = 1_000_000
POLL_US = 100_000
TURN_US = 20_000
PROBE_US = 1_000_000
GROW_AFTER = 25
SHRINK = 0.75
SHRINK_EVERY_US = 1_000_000


def monotonic_us() -> int:
    """Read this process's clock."""
    return time.monotonic_ns() // 1000


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
        return 60_000_000 / (self.per_minute - self.burst)

    def wait_us(self, tat: float, now: int, amount: int) -> float:
        """How long until `amount` may leave, by GCRA; more than a burst goes alone."""
        room = max(0.0, (self.burst - amount) * self.unit_us)
        return max(0.0, tat - now - room)


@dataclass
class Window:
    """Tokens of the last minute by quarters of a second."""

    ticks: dict[int, int] = field(default_factory=dict)

    def forget(self, tick: int) -> None:
        """Let what is older than a minute leave."""
        for old in [t for t in self.ticks if t <= tick - TICKS]:
            del self.ticks[old]

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


@dataclass
class Waiting:
    """A line that waits: the order of its head, its callers, until when it counts."""

    head: int
    callers: int
    until: int


@dataclass
class Books:
    """What is kept of one provider."""

    slots: dict[str, int] = field(default_factory=dict)
    run_slots: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    changes: dict[str, int] = field(default_factory=dict)
    window: Window = field(default_factory=Window)
    lines: dict[str, Waiting] = field(default_factory=dict)
    request_tat: float = 0.0
    token_tat: float = 0.0
    blocked_until: int = 0
    failures: int = 0
    open_until: int = 0
    probe: str = ""
    shrunk_to: int = 0  # 0: nothing was taken away
    successes: int = 0
    shrunk_at: int | None = None
    virtual: int = 0


class Exchange:
    """One question, answered on the books."""

    def __init__(self, books: Books, question: Question, now: int) -> None:
        self.books, self.question, self.now = books, question, now
        changed = {**question.limits.model_dump(), **books.changes}
        self.limits = Limits(**changed)
        self.rpm = Rate(self.limits.rpm, self.limits.burst_s)
        self.tpm = Rate(self.limits.tpm, self.limits.burst_s)
        self.tick = now // TICK_US
        books.request_tat = max(books.request_tat, now)
        books.token_tat = max(books.token_tat, now)
        books.window.forget(self.tick)
        self.oldest = self.tick - TICKS + 1
        self.run = books.run_slots[question.run_id]
        self.others: list[Waiting] = []

    def answer(self) -> tuple[Answer, bool]:
        """Settle, grant, register; also whether somebody else should be woken."""
        books, question = self.books, self.question
        freed = sum([self.take_back(one) for one in question.returns])
        for name in [n for n, w in books.lines.items() if w.until <= self.now]:
            del books.lines[name]
        if question.line:
            self.others = [w for name, w in books.lines.items() if name != question.line]
        for held in (books.slots, self.run):
            for lease in [lease for lease, until in held.items() if until <= self.now]:
                del held[lease]
        shift = 0
        if question.fresh and question.wishes:
            shift = books.virtual - question.wishes[0].start
        granted, wait, reason, order = 0, 0.0, "", 0
        for wish in question.wishes:
            order = wish.rank * RANK + wish.start + shift
            wait, reason = self.refusal(wish, order)
            if reason:
                break
            self.grant(wish, wish.start + shift)
            granted += 1
        self.register(reason, order, question.waiting - granted)
        answer = Answer(
            granted=granted,
            wait_s=-(-wait // 1000) / 1000,
            reason=reason,
            tick=self.tick,
            virtual=books.virtual,
            shift=shift,
        )
        free = len(books.slots) < self.slots_now
        return answer, bool(self.others) and free and (freed > 0 or reason == "turn")

    def take_back(self, one: Return) -> bool:
        """Free a slot and correct what was reserved; an expired lease changes nothing."""
        books = self.books
        self.run.pop(one.call.lease, None)
        if books.slots.pop(one.call.lease, None) is None:
            return False
        if self.limits.rpm and not one.sent:
            books.request_tat = max(self.now, books.request_tat - self.rpm.unit_us)
        difference = one.used - one.call.tokens
        if self.limits.tpm and difference:
            books.token_tat = max(self.now, books.token_tat + difference * self.tpm.unit_us)
            if one.call.tick >= self.oldest:
                self.count_tokens(one.call.tick, difference)
            elif difference > 0:
                self.count_tokens(self.tick, difference)
        self.note(one)
        return True

    def note(self, one: Return) -> None:
        """Move breaker and concurrency by how a call ended."""
        books, limits = self.books, self.limits
        is_probe = one.call.lease == books.probe
        if is_probe:
            books.probe = ""
        if one.ending == "ok":
            if is_probe:
                books.open_until = books.failures = 0
            if not books.open_until:
                books.failures = 0
            self.grow()
        elif one.ending == "down" and limits.breaker_failures:
            books.failures += 1
            if is_probe or (not books.open_until and books.failures >= limits.breaker_failures):
                books.open_until = self.now + int(limits.breaker_open_s * 1_000_000)
        elif one.ending == "limited":
            self.shrink()

    @property
    def slots_now(self) -> int:
        """What repeated 429s left of the slots."""
        return min(self.books.shrunk_to or self.limits.slots, self.limits.slots)

    def grow(self) -> None:
        """Give a slot back after so many successes."""
        books, slots = self.books, self.slots_now
        if slots < self.limits.slots:
            books.successes += 1
            if books.successes >= GROW_AFTER:
                books.shrunk_to, books.successes = slots + 1, 0

    def shrink(self) -> None:
        """Take a quarter of the slots away, once for a burst of 429s."""
        books = self.books
        if books.shrunk_at is None or self.now - books.shrunk_at > SHRINK_EVERY_US:
            books.shrunk_to = max(1, int(self.slots_now * SHRINK))
            books.successes, books.shrunk_at = 0, self.now

    def refusal(self, wish: Wish, order: int) -> tuple[float, str]:
        """Why a wish must wait, and how long in µs; "" when it need not."""
        books, limits, now = self.books, self.limits, self.now
        request_wait = self.rpm.wait_us(books.request_tat, now, 1) if limits.rpm else 0.0
        token_wait, tokens = 0.0, wish.call.tokens
        if limits.tpm and tokens:
            token_wait = max(
                self.tpm.wait_us(books.token_tat, now, tokens),
                books.window.wait_us(now, tokens, limits.tpm),
            )
        due = sum(w.callers for w in self.others if w.head < order - TOLERANCE)
        slots, run_slots = self.slots_now, self.question.run_slots
        half_open = 0 < books.open_until <= now
        refusals: tuple[tuple[bool, float, str], ...] = (
            (books.open_until > now, books.open_until - now, "open"),
            (half_open and books.probe in books.slots, PROBE_US, "open"),
            (books.blocked_until > now, books.blocked_until - now, "blocked"),
            (len(books.slots) >= slots, POLL_US, "slots"),
            (0 < run_slots <= len(self.run), POLL_US, "run slots"),
            (0 < request_wait >= token_wait, request_wait, "requests"),
            (token_wait > 0, token_wait, "tokens"),
            (len(books.slots) + due >= slots, TURN_US, "turn"),
            (due > 0 and limits.rpm + limits.tpm > 0, TURN_US, "turn"),
        )
        return next(((wait, reason) for refused, wait, reason in refusals if refused), (0.0, ""))

    def grant(self, wish: Wish, start: int) -> None:
        """Take a slot, a request and the tokens."""
        books, call = self.books, wish.call
        if self.limits.rpm:
            books.request_tat += self.rpm.unit_us
        if self.limits.tpm and call.tokens:
            books.token_tat += call.tokens * self.tpm.unit_us
            self.count_tokens(self.tick, call.tokens)
        if 0 < books.open_until <= self.now:
            books.probe = call.lease
        until = self.now + int(self.question.lease_s * 1_000_000)
        books.slots[call.lease] = until
        if self.question.run_slots:
            self.run[call.lease] = until
        if self.question.line:
            books.virtual = max(books.virtual, start)

    def register(self, reason: str, order: int, callers: int) -> None:
        """Note who waits, so that nobody overtakes."""
        line = self.question.line
        if line and reason in ("slots", "requests", "tokens", "turn"):
            self.books.lines[line] = Waiting(order, callers, self.now + LINE_US)
        else:
            self.books.lines.pop(line, None)

    def count_tokens(self, tick: int, amount: int) -> None:
        """Note tokens in the minute."""
        ticks = self.books.window.ticks
        ticks[tick] = ticks.get(tick, 0) + amount


class MemoryRules:
    """Rules in memory, for the coroutines of one loop; `now_us` is the clock."""

    def __init__(self, *, now_us: Callable[[], int] = monotonic_us) -> None:
        self._now_us = now_us
        self._books: dict[str, Books] = defaultdict(Books)
        self._announced: dict[str, Limits] = {}
        self._listeners: set[asyncio.Queue[str]] = set()

    async def exchange(self, question: Question) -> Answer:
        """Take slots back, then grant wishes."""
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
        """Change limits; none: the configured ones hold."""
        books = self._books[provider]
        books.changes = {**books.changes, **limits} if limits else {}

    async def state(self, provider: str, limits: Limits | None) -> GateState | None:
        """Read a provider's state; None when nobody announced it and `limits` is None."""
        limits = self._announced.get(provider, limits)
        if limits is None:
            return None
        books, now = self._books[provider], self._now_us()
        slots = books.changes.get("slots", limits.slots)
        open_until = books.open_until
        return GateState(
            provider=provider,
            rpm=books.changes.get("rpm", limits.rpm),
            tpm=books.changes.get("tpm", limits.tpm),
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
