"""Lets those who ask the same share one model call, in one process and across all of them.

It owns what is shared, with whom and for how long; where it lies is the shelf's, the call itself
the completer's. Calls that are not idempotent pass straight through.

    what the leader gets                    those who wait for it    those who ask later
    a whole reply that is accepted          get it                   get it, for the ttl
    a cut, filtered or unusable reply       get it                   make their own call
    a refusal (400, 401, 403, 404)          get it                   make their own call
    a failure that may pass                 its process gets it, another process's next one leads
    it is cancelled                         the next one leads
    it dies                                 the next one leads when its lease ends

Waiting takes no slot at the gate. A call that others joined is made with the rank and the caps of
the one who asked first. Without Redis every call goes on by itself.
"""

import asyncio
import contextlib
import hashlib
import logging
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from tasks.errors import BadReplyError, PermanentError, ServiceAwayError
from tasks.llm.cache.outcome import Outcome, outcome_of
from tasks.llm.cache.shelf import Shelf
from tasks.llm.deadline import Deadline
from tasks.llm.providers import Provider
from tasks.llm.scope import CallScope, CallTally
from tasks.llm.structured import FILTERED, Completes
from tasks.schemas.completion import ChatRequest, Completion

log = logging.getLogger(__name__)

LARGEST_KEPT_BYTES = 256 * 1024
HANDED_S = 30.0
POLL_S = 0.05
UNFINISHED = FILTERED | {"length"}


class Client(Completes, Protocol):
    """What makes the calls: `tasks.llm.completer.Completer`."""

    async def warm_up(self) -> None:
        """Open connections before the first call; never fails."""

    async def close(self) -> None:
        """Close the connections."""


@dataclass(frozen=True, kw_only=True)
class SharedCall:
    """What Completer.complete takes, with the entry that names the call on the shelf."""

    entry: str
    request: ChatRequest
    key: str
    scope: CallScope


@dataclass(eq=False)
class Flight:
    """One call of this process that several wait for; the first of them to go on pays for it."""

    tally: CallTally = field(default_factory=CallTally)
    waiting: int = 0
    paid: bool = False
    task: "asyncio.Task[Completion]" = field(init=False)

    def charge(self, tally: CallTally, got: Completion | None) -> None:
        """Count the call's cost for one of those who waited, a cached answer for the others."""
        if self.tally.made and not self.paid:
            self.paid = True
            tally.pay(self.tally)
        elif got is not None:
            tally.share(got.model)


class CachingCompleter:
    """A completer that shares idempotent calls; without a shelf it is the completer itself.

    Replies are kept for `ttl_s`; a leader that died is followed after `lease_s`.
    """

    def __init__(
        self,
        completer: Client,
        shelf: Shelf | None,
        *,
        ttl_s: float = 600.0,
        lease_s: float = 30.0,
    ) -> None:
        self.provider = completer.provider
        self._completer = completer
        self._shelf = shelf
        self._ttl_s = ttl_s
        self._lease_s = lease_s
        self._flights: dict[str, Flight] = {}
        self._away = False

    def complete(
        self, request: ChatRequest, *, key: str, scope: CallScope
    ) -> Coroutine[Any, Any, Completion]:
        """Make one logical call, or share somebody's who asks the same.

        What is shared is counted as cached in the scope's tally, and its tokens only for the one
        who pays. Raises what Completer.complete raises.
        """
        if self._shelf is None or not idempotent(request):
            return self._completer.complete(request, key=key, scope=scope)
        call = SharedCall(
            entry=entry_of(self.provider, request),
            request=request,
            key=key,
            scope=scope,
        )
        return self._share(self._shelf, call, scope.tally)

    async def warm_up(self) -> None:
        """Open connections before the first call; never fails."""
        await self._completer.warm_up()

    async def close(self) -> None:
        """Stop the calls that are under way and close the completer."""
        flights = [flight.task for flight in self._flights.values()]
        for task in flights:
            task.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        await self._completer.close()

    async def _share(self, shelf: Shelf, call: SharedCall, tally: CallTally) -> Completion:
        flight = self._flights.get(call.entry)
        if flight is None:
            flight = self._flights[call.entry] = Flight()
            # its time is the completer's: those who wait have each their own
            ours = replace(call, scope=replace(call.scope, tally=flight.tally, deadline=None))
            flight.task = asyncio.create_task(self._fly(shelf, ours))
            flight.task.add_done_callback(lambda _: self._land(call.entry, flight))
        return await self._board(call.entry, flight, tally, call.scope.deadline)

    async def _board(
        self, entry: str, flight: Flight, tally: CallTally, deadline: Deadline | None
    ) -> Completion:
        flight.waiting += 1
        got: Completion | None = None
        try:
            got = await landed(flight, deadline)
            return got
        finally:
            flight.waiting -= 1
            if not flight.task.done() and not flight.waiting:  # nobody wants it any more
                self._land(entry, flight)
                flight.task.cancel()
            if flight.task.done() or not flight.waiting:
                flight.charge(tally, got)

    def _land(self, entry: str, flight: Flight) -> None:
        if self._flights.get(entry) is flight:
            del self._flights[entry]

    async def _fly(self, shelf: Shelf, call: SharedCall) -> Completion:
        """Find the outcome, or lead; without the shelf, just call."""
        token, leader = uuid.uuid4().hex, ""
        while True:
            try:
                place = await shelf.ask(
                    call.entry, token=token, waited_for=leader, lease_s=self._lease_s
                )
            except ServiceAwayError as error:
                self._note_away(error)
                return await self._make(call)
            self._away = False
            if place.verdict == "found":
                return Outcome.model_validate_json(place.text).unwrap()
            if place.verdict == "lead":
                return await self._lead(shelf, call, token)
            leader = place.leader
            await asyncio.sleep(POLL_S)

    async def _lead(self, shelf: Shelf, call: SharedCall, token: str) -> Completion:
        renewing = asyncio.create_task(self._renew(shelf, call.entry, token))
        outcome: Outcome | None = None
        try:
            completion = await self._make(call)
            outcome = Outcome(completion=completion)
            return completion
        except PermanentError as error:
            outcome = outcome_of(error)
            raise
        finally:
            renewing.cancel()
            await self._settle(shelf, call, token, outcome)

    async def _make(self, call: SharedCall) -> Completion:
        return await self._completer.complete(call.request, key=call.key, scope=call.scope)

    async def _renew(self, shelf: Shelf, entry: str, token: str) -> None:
        while True:
            await asyncio.sleep(self._lease_s / 3)
            with contextlib.suppress(ServiceAwayError):  # tried again in a third of a lease
                await shelf.renew(entry, token=token, lease_s=self._lease_s)

    async def _settle(
        self, shelf: Shelf, call: SharedCall, token: str, outcome: Outcome | None
    ) -> None:
        entry, text = call.entry, outcome.model_dump_json() if outcome else ""
        try:
            if outcome is None or len(text.encode()) > LARGEST_KEPT_BYTES:
                await shelf.step_down(entry, token=token)
            elif keepable(outcome, call.scope.accept):
                await shelf.put(entry, token=token, kind="kept", text=text, ttl_s=self._ttl_s)
            else:
                await shelf.put(entry, token=token, kind="handed", text=text, ttl_s=HANDED_S)
        except ServiceAwayError as error:  # those who wait go on when our lease ends
            self._note_away(error)

    def _note_away(self, error: ServiceAwayError) -> None:
        if not self._away:
            self._away = True
            log.warning("model calls go on without the response cache: %s", error)


async def landed(flight: Flight, deadline: Deadline | None) -> Completion:
    """Wait for a flight, at most as long as the one who waits may."""
    if deadline is None:
        return await asyncio.shield(flight.task)
    async with deadline.enforced():
        try:
            return await asyncio.shield(flight.task)
        finally:
            deadline.attempts = flight.tally.made


def idempotent(request: ChatRequest) -> bool:
    """Whether a call's reply may stand for another's: marked so, else at temperature 0."""
    return request.temperature == 0 if request.cache is None else request.cache


def keepable(outcome: Outcome, accept: Callable[[Completion], object] | None) -> bool:
    """Whether an outcome is a whole, usable reply."""
    if outcome.completion is None or outcome.completion.finish_reason in UNFINISHED:
        return False
    try:
        if accept is not None:
            accept(outcome.completion)
    except BadReplyError:
        return False
    return True


def entry_of(provider: Provider, request: ChatRequest) -> str:
    """Hash everything that a reply depends on; the hash tells nothing of the prompt."""
    asked = request.model_dump_json(exclude={"cache"})
    fallbacks = ",".join(provider.fallback_models)
    text = "\n".join((provider.name, provider.base_url, fallbacks, asked))
    return hashlib.sha256(text.encode()).hexdigest()
