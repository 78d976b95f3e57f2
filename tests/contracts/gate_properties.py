"""What no interleaving may break, on any rules: limits hold in every minute, everything returns.

Promised is, at every grant, for the minute that ends with it: its calls are at most `rpm` (without
those that never left), and what they used, or reserved while they are held, is at most `tpm`. A
call that used more than it reserved is a debt: no grant until the minute has room again. A call
larger than `tpm` goes alone. Where limits were changed within the minute, the largest of them
holds; slots are at most what they are at the grant.
"""

import math
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

from tasks.gate.rules import Question, Return, Rules, Wish
from tasks.schemas.limits import Granted, Limits

LEASE_S = 10.0
MINUTE_US = 60_000_000
CHANGES = {"slots": (1, 2, 3, 6, 9), "rpm": (1, 2, 7, 30, 60), "tpm": (1, 50, 100, 6000, 9000)}
START_US = 1_800_000_000_000_000

Action = tuple[str, int, int]

limits = st.builds(
    Limits,
    rpm=st.sampled_from([0, 1, 7, 30]),
    tpm=st.sampled_from([0, 100, 6000]),
    slots=st.integers(1, 6),
    burst_s=st.sampled_from([0.0, 0.5, 1.0, 30.0]),
    breaker_failures=st.just(0),
)
single = st.one_of(
    st.tuples(st.just("acquire"), st.integers(0, 100), st.integers(1, 6)),
    st.tuples(st.just("settle"), st.integers(0, 5), st.integers(0, 300)),
    st.tuples(st.sampled_from(["slots", "rpm", "tpm"]), st.integers(0, 4), st.just(0)),
    st.tuples(st.just("reset"), st.just(0), st.just(0)),
    st.tuples(st.sampled_from(["unsent", "limited", "crash"]), st.integers(0, 5), st.just(0)),
    st.tuples(st.just("late"), st.integers(0, 5), st.integers(0, 300)),
    st.tuples(st.just("renew"), st.integers(1, 9_900), st.just(0)),
    st.tuples(st.just("saturate"), st.integers(1, 100), st.integers(1, 120)),
    st.tuples(st.just("advance"), st.integers(1, 20_000), st.just(0)),
    st.tuples(st.just("advance"), st.integers(1, 400), st.just(0)),
)
full = st.tuples(st.just("acquire"), st.integers(0, 20), st.just(6))
half_lease = st.tuples(st.just("renew"), st.integers(5_100, 9_900), st.just(0))
lease_over = st.tuples(st.just("advance"), st.integers(10_000, 30_000), st.just(0))
late = st.tuples(st.just("late"), st.integers(0, 5), st.integers(0, 300))
crash = st.tuples(st.just("crash"), st.integers(0, 5), st.just(0))
settle = st.tuples(st.just("settle"), st.integers(0, 5), st.integers(0, 100))
saturate = st.tuples(st.just("saturate"), st.integers(1, 100), st.integers(60, 120))
few = st.tuples(st.just("saturate"), st.integers(1, 10), st.integers(1, 6))
unsent = st.tuples(st.just("unsent"), st.integers(0, 5), st.just(0))
change = st.tuples(st.sampled_from(["slots", "rpm", "tpm"]), st.integers(0, 4), st.just(0))
debt = st.tuples(st.just("settle"), st.integers(0, 5), st.integers(100, 300))
refusal = st.tuples(st.sampled_from(["unsent", "limited"]), st.integers(0, 5), st.just(0))

# What rarely comes together by chance: calls held past their first lease, holders that come back
# too late, refunds in the middle of a minute that is full or long after the grant, limits that
# change between two full minutes, debts.
phrases = st.one_of(
    single.map(lambda one: [one]),
    st.tuples(full, half_lease, half_lease, full).map(list),
    st.tuples(full, crash, crash, lease_over, full, late, late, full, saturate).map(list),
    st.tuples(saturate, full, settle, settle, saturate).map(list),
    st.tuples(saturate, full, refusal, refusal, full, refusal, saturate).map(list),
    st.tuples(full, lease_over, settle, saturate, settle, full).map(list),
    st.tuples(full, *[half_lease] * 6, settle, settle, saturate, saturate).map(list),
    st.tuples(full, *[half_lease] * 8, few, unsent, unsent, unsent, saturate).map(list),
    st.tuples(saturate, change, saturate, change, full, saturate).map(list),
    st.tuples(full, debt, debt, saturate).map(list),
)
actions = st.lists(phrases, max_size=8).map(lambda some: [one for each in some for one in each])


@dataclass
class Call:
    """A granted call, as the property sees it: when, how long it holds, what it counts."""

    granted: Granted
    at: int
    until: int
    tokens: int
    requests: int = 1
    held: bool = True


@dataclass
class Model:
    """Plays actions on the rules and checks every grant; `now` is the rules' clock."""

    rules: Rules
    limits: Limits
    now: Callable[[], int]
    advance: Callable[[int], None]
    calls: list[Call] = field(default_factory=list)
    crashed: list[Call] = field(default_factory=list)
    changes: dict[str, int] = field(default_factory=dict)
    held_until: list[tuple[Limits, float]] = field(default_factory=list)

    @property
    def live(self) -> Limits:
        """What holds now."""
        return self.limits.model_copy(update=self.changes)

    def largest(self, name: str, now: int) -> float:
        """Find the largest of a limit's values within the last minute; 0 is none at all."""
        recent = [held for held, until in self.held_until if until > now - MINUTE_US]
        return max(getattr(held, name) or math.inf for held in [*recent, self.live])

    async def play(self, script: Sequence[Action]) -> None:
        """Do everything, then let all leases run out: nothing may be left."""
        for name, first, second in script:
            await self.do(name, first, second)
        self.advance(3 * MINUTE_US)
        state = await self.rules.state("p", self.limits)
        assert state is not None
        assert state.slots_in_use == 0
        assert (await self.exchange(wishes=[wish(tokens=1)])).granted == 1

    async def do(self, name: str, first: int, second: int) -> None:
        """Do one action; those that want a held call do nothing without one."""
        held = [call for call in self.calls if call.held]
        call = held[first % len(held)] if held else None
        if name == "advance":
            self.advance(first * 1000)
        elif name == "acquire":
            await self.exchange(wishes=[wish(tokens=self.share(first)) for _ in range(second)])
        elif name == "reset" or name in CHANGES:
            await self.change({} if name == "reset" else {name: CHANGES[name][first]})
        elif name == "saturate":
            await self.saturate(self.share(first), second)
        elif name == "renew":
            await self.renew(held)
            self.advance(first * 1000)
        elif name == "late" and self.crashed:
            lost = self.crashed[first % len(self.crashed)]
            if lost.until <= self.now():  # cleared away by the next question at the latest
                await self.exchange()
                await self.exchange(returns=[Return(call=lost.granted, used=second)])
        elif call is not None and name == "crash":
            call.held = False
            self.crashed.append(call)
        elif call is not None and name in ("settle", "unsent", "limited"):
            await self.settle(call, name, second)

    def share(self, percent: int) -> int:
        """Take a share of the minute's tokens."""
        return self.limits.tpm * percent // 100 if self.limits.tpm else percent

    async def change(self, wanted: dict[str, int]) -> None:
        """Change a limit for everybody; without any, the configured ones hold again."""
        self.held_until.append((self.live, self.now()))
        self.changes = {**self.changes, **wanted} if wanted else {}
        await self.rules.change("p", wanted)

    async def saturate(self, tokens: int, times: int) -> None:
        """Ask again as soon as the rules allow, and return what is granted at once."""
        for _ in range(times):
            answer = await self.exchange(wishes=[wish(tokens=tokens)])
            if answer.granted:
                await self.settle(self.calls[-1], "settle", 100)
            else:
                self.advance(max(1, round(answer.wait_s * 1_000_000)))

    async def settle(self, call: Call, name: str, share: int) -> None:
        """Return a call with what it used, which may be more than it reserved."""
        call.held = False
        used = call.granted.tokens * share // 100 if name == "settle" else 0
        expired = call.until <= self.now()
        if expired:
            await self.exchange()
        else:
            call.until, call.tokens = self.now(), used
            call.requests = int(name != "unsent")
        ending = "limited" if name == "limited" else "ok"
        returned = Return(call=call.granted, used=used, ending=ending, sent=name != "unsent")
        await self.exchange(returns=[returned])

    async def renew(self, held: Sequence[Call]) -> None:
        """Renew what has not expired."""
        live = [call for call in held if call.until > self.now()]
        await self.rules.renew("p", "", LEASE_S, [call.granted.lease for call in live])
        for call in live:
            call.until = self.now() + int(LEASE_S * 1_000_000)

    async def exchange(self, *, returns: Sequence[Return] = (), wishes: Sequence[Wish] = ()) -> int:
        """Ask; note and check what was granted."""
        answer = await self.rules.exchange(
            Question(
                provider="p",
                limits=self.limits,
                lease_s=LEASE_S,
                line="model",
                waiting=len(wishes),
                returns=returns,
                wishes=wishes,
            )
        )
        now = self.now()
        for granted in wishes[: answer.granted]:
            call = replace(granted.call, tick=answer.tick)
            until = now + int(LEASE_S * 1_000_000)
            self.calls.append(Call(call, now, until, call.tokens))
        if answer.granted:
            self.check(now)
        assert bool(answer.reason) == (answer.granted < len(wishes))
        return answer

    def check(self, now: int) -> None:
        """Slots, requests and tokens of the last minute are within their limits."""
        assert sum(call.until > now for call in self.calls) <= self.live.slots
        minute = [call for call in self.calls if call.at > now - MINUTE_US]
        assert sum(call.requests for call in minute) <= self.largest("rpm", now)
        alone = max(call.granted.tokens for call in minute)
        assert sum(call.tokens for call in minute) <= max(alone, self.largest("tpm", now))


def wish(*, tokens: int) -> Wish:
    """Describe a call."""
    return Wish(call=Granted(provider="p", lease=uuid.uuid4().hex, run_id="", tokens=tokens))
