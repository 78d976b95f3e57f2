"""One question answered on the books of one process: the twin of `lua/exchange.lua`, rule by rule.

All times are in microseconds, as in the script, so that both round alike.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from tasks.gate.rates import MINUTE_US, TICK_US, TICKS, Window, rate
from tasks.gate.rules import Answer, Question, Return, Wish
from tasks.schemas.limits import Limits

TOLERANCE = 4
RANK = 2**40
LINE_US = 1_000_000
POLL_US = 100_000
TURN_US = 20_000
PROBE_US = 1_000_000
NEVER_US = 2**62
GROW_AFTER = 25
SHRINK = 0.75
SHRINK_EVERY_US = 1_000_000


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
    none_expires_before: int = NEVER_US
    requests: Window = field(default_factory=Window)
    tokens: Window = field(default_factory=Window)
    refunded: int | None = None  # the tick of the last refunded request
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
        self.limits = question.limits
        if books.changes:
            self.limits = Limits(**{**question.limits.model_dump(), **books.changes})
        self.rpm = rate(self.limits.rpm, self.limits.burst_s)
        self.tpm = rate(self.limits.tpm, self.limits.burst_s)
        self.tick = now // TICK_US
        if self.limits.rpm:
            books.request_tat = max(books.request_tat, now)
        if self.limits.tpm:
            books.token_tat = max(books.token_tat, now)
        if books.requests.ticks:
            books.requests.forget(self.tick)
        if books.tokens.ticks:
            books.tokens.forget(self.tick)
        self.oldest = self.tick - TICKS + 1
        self.run = books.run_slots[question.run_id]
        self.others: list[Waiting] = []

    def answer(self) -> tuple[Answer, bool]:
        """Settle, grant, register; also whether somebody else should be woken."""
        books, question = self.books, self.question
        freed = 0
        for one in question.returns:
            freed += self.take_back(one)
        if books.lines:
            for name in [n for n, w in books.lines.items() if w.until <= self.now]:
                del books.lines[name]
            if question.line:
                self.others = [w for name, w in books.lines.items() if name != question.line]
        if books.none_expires_before <= self.now:
            self.expire()
        shift = 0
        if question.fresh and question.wishes:
            shift = books.virtual - question.wishes[0].start
        granted, wait, reason, order = 0, 0.0, "", 0
        for wish in question.wishes:
            order = wish.rank * RANK + wish.start + shift
            if wish.call.lease not in books.slots:  # else it is asked for twice
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
        if not self.others:
            return answer, False
        free = len(books.slots) < self.slots_now
        return answer, free and (freed > 0 or reason == "turn")

    def expire(self) -> None:
        """Forget slots whose lease ran out, and note when to look again."""
        books = self.books
        for held in (books.slots, *books.run_slots.values()):
            for lease in [lease for lease, until in held.items() if until <= self.now]:
                del held[lease]
        books.none_expires_before = min(books.slots.values(), default=NEVER_US)

    def take_back(self, one: Return) -> bool:
        """Free a slot and correct what was reserved; an expired lease changes nothing."""
        books = self.books
        self.run.pop(one.call.lease, None)
        if books.slots.pop(one.call.lease, None) is None:
            return False
        if self.limits.rpm and not one.sent and one.call.tick >= self.oldest:
            books.request_tat = max(self.now, books.request_tat - self.rpm.cost_us(1))
            books.requests.count(one.call.tick, -1)
            books.refunded = self.tick
        difference = one.used - one.call.tokens
        if self.limits.tpm and difference:
            self.pay_tokens(difference)
            if one.call.tick >= self.oldest:
                books.tokens.count(one.call.tick, difference)
            elif difference > 0:
                books.tokens.count(self.tick, difference)
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
        books = self.books
        if books.shrunk_to and (slots := self.slots_now) < self.limits.slots:
            books.successes += 1
            if books.successes >= GROW_AFTER:
                books.shrunk_to, books.successes = slots + 1, 0

    def shrink(self) -> None:
        """Take a quarter of the slots away, once for a burst of 429s."""
        books = self.books
        if books.shrunk_at is None or self.now - books.shrunk_at > SHRINK_EVERY_US:
            books.shrunk_to = max(1, int(self.slots_now * SHRINK))
            books.successes, books.shrunk_at = 0, self.now

    def request_wait_us(self) -> float:
        """How long until a request may leave.

        A refund makes room in the pace that an earlier pause may have made already: after one the
        minute itself is counted.
        """
        books, limit = self.books, self.limits.rpm
        if not limit:
            return 0.0
        paced = self.rpm.wait_us(books.request_tat, self.now, 1)
        if books.refunded is None or books.refunded < self.oldest:
            return paced
        return max(paced, books.requests.wait_us(self.now, 1, limit))

    def token_wait_us(self, tokens: int) -> float:
        """How long until so many tokens may leave: by their pace and by the minute's count."""
        books, limit = self.books, self.limits.tpm
        if not limit or not tokens:
            return 0.0
        paced = self.tpm.wait_us(books.token_tat, self.now, tokens)
        return max(paced, books.tokens.wait_us(self.now, tokens, limit))

    def pay_tokens(self, amount: int) -> None:
        """Put tokens on the pace, or take them off; no debt is longer than a minute."""
        after = self.books.token_tat + self.tpm.cost_us(amount)
        self.books.token_tat = max(self.now, min(after, self.now + MINUTE_US))

    def refusal(self, wish: Wish, order: int) -> tuple[float, str]:
        """Why a wish must wait, and how long in µs; "" when it need not."""
        books, limits, now = self.books, self.limits, self.now
        request_wait, token_wait = self.request_wait_us(), self.token_wait_us(wish.call.tokens)
        before = order - TOLERANCE
        due = sum([w.callers for w in self.others if w.head < before]) if self.others else 0
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
        for refused, wait, reason in refusals:
            if refused:
                return wait, reason
        return 0.0, ""

    def grant(self, wish: Wish, start: int) -> None:
        """Take a slot, a request and the tokens."""
        books, call = self.books, wish.call
        if self.limits.rpm:
            books.request_tat += self.rpm.cost_us(1)
            books.requests.count(self.tick, 1)
        if self.limits.tpm and call.tokens:
            self.pay_tokens(call.tokens)
            books.tokens.count(self.tick, call.tokens)
        if 0 < books.open_until <= self.now:
            books.probe = call.lease
        until = self.now + int(self.question.lease_s * 1_000_000)
        books.slots[call.lease] = until
        books.none_expires_before = min(books.none_expires_before, until)
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
