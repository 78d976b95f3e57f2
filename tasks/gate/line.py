"""The line of callers of one process before the gate: one question at a time for all of them.

Each question returns the slots that came free meanwhile and asks for the first callers in line, so
a freed slot is taken again in the same round trip, unless callers of another process are due.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Any, NamedTuple

from tasks.errors import ProviderOpenError, ServiceAwayError
from tasks.gate.rules import Answer, Return, Wish
from tasks.gate.turnstile import Place, Turnstile
from tasks.schemas.limits import Granted

LONGEST_SLEEP_S = 5.0
LINGER_S = 0.002
MOST_WISHES = 32
AWAY_S = 0.5
RETURN_WITHIN_S = 1.0
MOST_UNHEARD = 2000
REGISTERED = frozenset({"slots", "turn", "requests", "tokens"})


@dataclass(frozen=True)
class Caller:
    """Somebody who waits for a grant, and for no block that ends after `until` (loop time)."""

    call: Granted
    admitted: "asyncio.Future[Granted]"
    until: float


class Ask(NamedTuple):
    """What a line wants to know: see `tasks.gate.rules.Question`."""

    fresh: bool
    waiting: int
    returns: Sequence[Return]
    wishes: Sequence[Wish]


Exchange = Callable[[Ask], Awaitable[Answer]]
AtOnce = Callable[[Ask], Answer | None]
Returned = tuple[Return, "asyncio.Future[None]"]


class Line:
    """Callers that share their limits; `exchange` asks the rules, `at_once` those at hand."""

    def __init__(
        self, exchange: Exchange, at_once: AtOnce, on_returned: Callable[[], None]
    ) -> None:
        self._exchange = exchange
        self._at_once = at_once
        self._on_returned = on_returned
        self._callers: Turnstile[Caller] = Turnstile()
        self._returns: list[Returned] = []
        self._wake = asyncio.Event()
        self._arrived = asyncio.Event()
        self._unheard: list[Return] = []
        self._reason = ""
        self._fresh = True
        self._pump: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many callers wait."""
        return len(self._callers)

    @property
    def idle(self) -> bool:
        """Whether nobody waits and nothing is to be returned."""
        return self._pump is None or self._pump.done()

    async def admitted(self, call: Granted, *, rank: int, flow: str, patience_s: float) -> Granted:
        """Wait for our turn and our grant; cancelling leaves nothing behind.

        Raises ServiceAwayError when Redis is away, ProviderOpenError while the breaker is open or
        when a block lasts longer than `patience_s`.
        """
        if self.idle and (granted := self._granted_at_once(call, rank)) is not None:
            return granted
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Granted] = loop.create_future()
        caller = Caller(call, future, loop.time() + patience_s)
        place = self._callers.arrive(caller, rank=rank, flow=flow)
        self._arrived.set()
        if self._reason == "blocked":
            self._wake.set()  # it may be for longer than this one waits
        self._start()
        try:
            return await future
        except asyncio.CancelledError:
            self._callers.leave(place)
            if future.done() and not future.cancelled() and future.exception() is None:
                self.give_back(unsent(future.result()))
            raise

    def give_back(self, returned: Return) -> "asyncio.Future[None]":
        """Return a slot soon; the future is done when the rules have it.

        It raises ServiceAwayError when Redis is away: then the slot is returned when it is back, or
        expires before.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.idle and self._returned_at_once(returned):
            done.set_result(None)
            return done
        self._returns.append((returned, done))
        self._wake.set()
        self._start()
        return done

    def _granted_at_once(self, call: Granted, rank: int) -> Granted | None:
        """Ask rules that are at hand, past a line in which nobody stands."""
        wish = Wish(call=call, rank=rank, start=self._callers.virtual)
        answer = self._at_once(Ask(fresh=True, waiting=1, returns=(), wishes=(wish,)))
        if answer is None or not answer.granted:
            return None
        self._callers.pass_on(answer.virtual)
        return granted_of(call, answer)

    def _returned_at_once(self, returned: Return) -> bool:
        """Return a slot to rules that are at hand; nobody of this line waits for it."""
        if self._at_once(Ask(fresh=True, waiting=0, returns=(returned,), wishes=())) is None:
            return False
        self._on_returned()
        return True

    def freed(self) -> None:
        """Hear that a slot of the provider came free elsewhere."""
        if self._reason in ("slots", "run slots", "turn"):
            self._wake.set()

    async def close(self) -> None:
        """Cancel whoever still waits and return what is on its way, within RETURN_WITHIN_S.

        What the rules do not hear in that time expires.
        """
        self._cancel_waiting()
        if self._pump is not None:
            self._wake.set()
            await asyncio.wait([self._pump], timeout=RETURN_WITHIN_S)
            self._pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pump
        self._cancel_waiting()
        for _, done in self._returns:
            done.cancel()
        self._returns.clear()

    def _cancel_waiting(self) -> None:
        for place in self._callers.next(self.waiting):
            place.caller.admitted.cancel()

    def _start(self) -> None:
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._ask_until_nobody_waits(), context=Context())

    async def _ask_until_nobody_waits(self) -> None:
        while self._returns or self._unheard or self.waiting or self._reason in REGISTERED:
            self._wake.clear()
            if self._unheard:
                await asyncio.sleep(AWAY_S)
            if not self.waiting and not self._reason:
                await self._linger()
            if self._returns or self._unheard or self.waiting:
                await self._sleep(await self._ask())
            else:  # everybody gave up: let nobody wait for us
                await self._ask()
                self._reason = ""
        self._fresh = True

    async def _ask(self) -> Answer:
        """Ask once; an error is told to everybody whom the question was about."""
        returns, self._returns = self._returns, []
        unheard, self._unheard = self._unheard, []
        full = self._reason in ("slots", "run slots", "turn")
        waiting = self.waiting
        given = [*unheard, *(returned for returned, _ in returns)]
        places = self._callers.next(len(given) + 1 if full else MOST_WISHES)
        wishes = [Wish(call=p.caller.call, rank=p.rank, start=p.start) for p in places]
        try:
            answer = await self._exchange(
                Ask(fresh=self._fresh, waiting=waiting, returns=given, wishes=wishes)
            )
        except asyncio.CancelledError:
            self._callers.put_back(places)
            self._returns = returns + self._returns
            self._unheard = unheard
            raise
        except Exception as error:  # noqa: BLE001  # told to all who wait, none waits for ever
            self._reason = ""
            if isinstance(error, ServiceAwayError):
                self._unheard = given[-MOST_UNHEARD:]
            self._fail(self._futures(returns, places), error)
            return Answer(granted=0)
        self._tell(returns, places, answer)
        if given:
            self._on_returned()
        return answer

    async def _linger(self) -> None:
        """Let returns that nobody of us waits for travel with the next wish, if one comes soon."""
        self._arrived.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                await self._arrived.wait()

    async def _sleep(self, answer: Answer) -> None:
        if answer.reason and self.waiting and not self._returns:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(answer.wait_s, LONGEST_SLEEP_S)):
                    await self._wake.wait()

    def _tell(
        self, returns: Sequence[Returned], places: Sequence[Place[Caller]], answer: Answer
    ) -> None:
        for _, done in returns:
            if not done.done():
                done.set_result(None)
        self._reason = answer.reason
        self._join(places, answer)
        self._callers.put_back(places[answer.granted :])
        for place in places[: answer.granted]:
            self._callers.admit(place)
            call = granted_of(place.caller.call, answer)
            if place.caller.admitted.done():  # cancelled while we asked: the call never leaves
                self.give_back(unsent(call))
            else:
                place.caller.admitted.set_result(call)
        if answer.reason in ("open", "blocked"):
            self._turn_away(answer)

    def _join(self, places: Sequence[Place[Caller]], answer: Answer) -> None:
        """Take over the virtual time of all lines; a fresh line moves to where they are."""
        if self._fresh and places:
            self._fresh = False
            self._callers.shift(answer.shift)
            for place in places:
                place.start += answer.shift
        self._callers.pass_on(answer.virtual)

    def _turn_away(self, answer: Answer) -> None:
        """Let nobody wait in vain, as their work can be put off or done by somebody else.

        All of them for a provider that does not answer, some for one that wants no calls for long.
        """
        places = self._callers.next(self.waiting)
        why = "the provider fails; its breaker is open"
        if answer.reason == "blocked":
            why = "the provider answered 429; it wants no calls"
            ends = asyncio.get_running_loop().time() + answer.wait_s
            self._callers.put_back(place for place in places if place.caller.until >= ends)
            places = [place for place in places if place.caller.until < ends]
        error = ProviderOpenError(f"{why} for {answer.wait_s:.0f} s", wait_s=answer.wait_s)
        self._fail(self._futures([], places), error)

    @staticmethod
    def _futures(
        returns: Iterable[Returned], places: Iterable[Place[Caller]]
    ) -> list["asyncio.Future[Any]"]:
        waiting: list[asyncio.Future[Any]] = [done for _, done in returns]
        return waiting + [place.caller.admitted for place in places]

    @staticmethod
    def _fail(futures: Iterable["asyncio.Future[Any]"], error: Exception) -> None:
        """Let everybody hear it."""
        for future in futures:
            if not future.done():
                future.set_exception(error)


def granted_of(call: Granted, answer: Answer) -> Granted:
    """Note when a call was granted."""
    return Granted(
        provider=call.provider,
        lease=call.lease,
        run_id=call.run_id,
        tokens=call.tokens,
        run_slots=call.run_slots,
        tick=answer.tick,
    )


def unsent(call: Granted) -> Return:
    """Give back a slot whose call never left, with all that was reserved for it."""
    return Return(call=call, used=0, sent=False)
