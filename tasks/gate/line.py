"""The line of callers of one process before the gate: one question to Redis at a time for all.

Each question returns the slots that came free meanwhile and asks for the first callers in line, so
a freed slot is taken again in the same round trip.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.errors import CastlineError, ProviderOpenError, ServiceAwayError
from tasks.gate.turnstile import Place, Turnstile
from tasks.schemas.limits import Ending, Granted

LONGEST_SLEEP_S = 5.0
MOST_WISHES = 32


@dataclass(frozen=True)
class Caller:
    """Somebody who waits for a grant."""

    wish: Granted
    admitted: "asyncio.Future[Granted]"


@dataclass(frozen=True)
class Return:
    """A slot that is given back, how many tokens its call used, how the call ended."""

    granted: Granted
    used: int
    ending: Ending
    done: "asyncio.Future[None]"


@dataclass(frozen=True)
class Answer:
    """How many of the wishes were granted, and how long the next one must wait, for what."""

    granted: int
    wait_s: float
    reason: str


Exchange = Callable[[Sequence[Return], Sequence[Granted]], Awaitable[Answer]]


class Line:
    """Callers that share their limits; `exchange` asks Redis."""

    def __init__(self, exchange: Exchange, on_returned: Callable[[], None]) -> None:
        self._exchange = exchange
        self._on_returned = on_returned
        self._callers: Turnstile[Caller] = Turnstile()
        self._returns: list[Return] = []
        self._wake = asyncio.Event()
        self._full = False
        self._pump: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many callers wait."""
        return len(self._callers)

    @property
    def idle(self) -> bool:
        """Whether nobody waits and nothing is to be returned."""
        return self._pump is None or self._pump.done()

    async def admitted(self, wish: Granted, *, rank: int, flow: str) -> Granted:
        """Wait for our turn and our grant; cancelling leaves nothing behind.

        Raises ServiceAwayError when Redis is away, ProviderOpenError while the breaker is open.
        """
        future: asyncio.Future[Granted] = asyncio.get_running_loop().create_future()
        self._callers.arrive(Caller(wish, future), rank=rank, flow=flow)
        self._start()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.give_back(future.result(), 0)
            raise

    def give_back(
        self, granted: Granted, used: int, ending: Ending = "other"
    ) -> "asyncio.Future[None]":
        """Return a slot soon; the future is done when Redis has it."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._returns.append(Return(granted, used, ending, done))
        self._wake.set()
        self._start()
        return done

    def freed(self) -> None:
        """Hear that a slot came free in another line of the same provider."""
        if self._full:
            self._wake.set()

    async def close(self) -> None:
        """Stop asking; whoever still waits is cancelled."""
        if self._pump is not None:
            self._pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pump

    def _start(self) -> None:
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._ask_until_nobody_waits())

    async def _ask_until_nobody_waits(self) -> None:
        while self._returns or len(self._callers):
            self._wake.clear()
            returns, self._returns = self._returns, []
            most = len(returns) + 1 if self._full else MOST_WISHES
            places = [p for p in self._callers.next(most) if not p.caller.admitted.cancelled()]
            try:
                answer = await self._exchange(returns, [place.caller.wish for place in places])
            except ServiceAwayError as error:
                self._fail(returns, places, error)
                continue
            except asyncio.CancelledError:
                self._callers.put_back(places)
                raise
            self._tell(returns, places, answer)
            if answer.reason == "open":
                self._turn_away(answer.wait_s)
                continue
            if answer.reason and not self._returns:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), min(answer.wait_s, LONGEST_SLEEP_S))

    def _tell(
        self, returns: Sequence[Return], places: Sequence[Place[Caller]], answer: Answer
    ) -> None:
        for returned in returns:
            if not returned.done.done():
                returned.done.set_result(None)
        self._full = answer.reason.endswith("slots")
        self._callers.put_back(places[answer.granted :])
        for place in places[: answer.granted]:
            self._callers.admit(place)
            if place.caller.admitted.done():  # cancelled while we asked: the call never leaves
                self.give_back(place.caller.wish, 0)
            else:
                place.caller.admitted.set_result(place.caller.wish)
        if returns:
            self._on_returned()

    def _turn_away(self, wait_s: float) -> None:
        """Let nobody wait for a provider that does not answer: their work can be put off."""
        error = ProviderOpenError(
            f"the provider fails; its breaker is open for {wait_s:.0f} s", wait_s=wait_s
        )
        self._fail([], self._callers.next(len(self._callers)), error)

    def _fail(
        self, returns: Sequence[Return], places: Sequence[Place[Caller]], error: CastlineError
    ) -> None:
        """Let everybody hear it; slots that could not be returned expire."""
        waiting: list[asyncio.Future[Any]] = [returned.done for returned in returns]
        waiting += [place.caller.admitted for place in places]
        for future in waiting:
            if not future.done():
                future.set_exception(error)
