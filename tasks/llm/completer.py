"""Completes one logical model call through gate, transport and retries.

It owns attempts, deadlines and the idempotency key's journey; prompts belong to the stages, parsing
to `tasks.llm.structured`, limits to the gate, the wire to `tasks.llm.outlet`.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import TypeVar

from tenacity import AsyncRetrying

from tasks import measures
from tasks.errors import (
    CastlineError,
    ProviderDownError,
    RateLimitedError,
    RefusedCallError,
    ServiceAwayError,
    TransientError,
)
from tasks.gate.gate import Gate
from tasks.llm.deadline import Deadline
from tasks.llm.fallbacks import Failure, told, worth_asking
from tasks.llm.outlet import Outlet, PreparedCall
from tasks.llm.providers import Provider
from tasks.llm.retrying import RetryPolicy, failure_class
from tasks.llm.scope import CallScope
from tasks.llm.streaming import StreamedReply
from tasks.llm.tracing import note_completion, traced
from tasks.llm.transport import PoolCounts
from tasks.schemas.completion import ChatRequest, Completion, StreamEvent
from tasks.schemas.limits import Ending, Granted

log = logging.getLogger(__name__)

CALL_DEADLINE_S = 3000.0

T = TypeVar("T")

Attempt = Callable[[PreparedCall, CallScope, Deadline], Awaitable[T]]


class Completer:
    """Completes calls of one provider, on one loop; close it on the loop that used it."""

    def __init__(
        self,
        provider: Provider,
        gate: Gate,
        *,
        retry_scale: float = 1.0,
        call_deadline_s: float = CALL_DEADLINE_S,
    ) -> None:
        self.provider = provider
        self._gate = gate
        self._retry_scale = retry_scale
        self._deadline_s = call_deadline_s
        self.failures: Counter[str] = Counter()  # attempts that failed, by class
        self._outlets = {provider.name: Outlet(provider)}
        for fallback in provider.fallbacks:
            if fallback.provider is not None:
                self._outlets.setdefault(fallback.provider.name, Outlet(fallback.provider))

    async def complete(self, request: ChatRequest, *, key: str, scope: CallScope) -> Completion:
        """Make one logical call, with its retries and then the fallbacks, each behind its own gate.

        `key` is sent as `Idempotency-Key` with every attempt; attempts and tokens are counted in
        the scope's tally whatever comes of them. Raises RefusedCallError (do not try
        again), RateLimitedError or ProviderDownError (all attempts spent), DeadlineError (its time
        is over), BadReplyError, ProviderOpenError while its breaker is open, or it wants no calls
        until after the deadline, and no fallback has helped.
        """
        deadline = scope.deadline or Deadline(self._deadline_s)
        async with deadline.enforced():
            done = await self._answer(self._attempt, request, key, scope, deadline)
        scope.tally.complete(done)
        if done.attempts == deadline.attempts:
            return done
        return done.model_copy(update={"attempts": deadline.attempts})

    async def stream(
        self, request: ChatRequest, *, key: str, scope: CallScope
    ) -> AsyncGenerator[StreamEvent, None]:
        """Make one logical call and give its text as it is written.

        Tried again like `complete` until the first piece is there, never after it. The slot is held
        until the reply ends or the caller closes the iterator. Raises what `complete` raises, and
        ProviderDownError after the pieces that came when the reply breaks off.
        """
        deadline = scope.deadline or Deadline(self._deadline_s)
        async with deadline.enforced():
            reply = await self._answer(
                self._open, request.model_copy(update={"stream": True}), key, scope, deadline
            )
        try:
            while (event := await reply.next(deadline)) is not None:
                yield event
            scope.tally.complete(reply.completion)
        except CastlineError as error:
            reply.error = error
            self._note_failure(error)
            raise
        finally:
            self._settle(reply.granted, reply.used_tokens, reply.error)
            await reply.response.aclose()

    async def _answer(
        self,
        attempt: Attempt[T],
        request: ChatRequest,
        key: str,
        scope: CallScope,
        deadline: Deadline,
    ) -> T:
        """Attempt a call until it is answered: by its model, else by the fallbacks."""
        failed: list[Failure] = []
        for outlet, model in self._targets(request.model):
            if failed and not worth_asking(outlet.provider, failed):
                continue
            call = outlet.prepared(request, model=model, key=key)
            try:
                with traced("model call", kind="llm", ls_provider=outlet.provider.name) as trace:
                    try:
                        answer = await attempt(call, scope, deadline)
                    except TransientError as error:
                        answer = await self._retried(error, attempt, call, scope, deadline)
                    if isinstance(answer, Completion):
                        note_completion(trace, answer)
                return answer
            except ServiceAwayError:
                raise
            except (TransientError, RefusedCallError) as error:
                failed.append(Failure(provider=outlet.provider, error=error))
        raise told(failed)

    def _targets(self, model: str) -> Iterator[tuple[Outlet, str]]:
        """List whom to ask, in order: the model that was chosen, then the fallbacks."""
        yield self._outlets[self.provider.name], model
        for fallback in self.provider.fallbacks:
            provider = fallback.provider or self.provider
            yield self._outlets[provider.name], fallback.model

    async def _retried(
        self,
        error: TransientError,
        attempt: Attempt[T],
        call: PreparedCall,
        scope: CallScope,
        deadline: Deadline,
    ) -> T:
        """Attempt a call that failed once as often as its failures are worth it."""
        failed: TransientError | None = error

        async def again() -> T:
            nonlocal failed
            if failed is not None:
                error, failed = failed, None
                raise error
            return await attempt(call, scope, deadline)

        # only now: tenacity takes a third of a call's CPU time even when nothing fails
        policy = RetryPolicy(
            scale=self._retry_scale, left_s=lambda: deadline.left_s, most=scope.most_retries
        )
        return await AsyncRetrying(retry=policy.wants, wait=policy.pause_s, reraise=True)(again)

    async def _attempt(
        self, call: PreparedCall, scope: CallScope, deadline: Deadline
    ) -> Completion:
        granted = await self._granted(call, scope, deadline)
        try:
            completion = await call.outlet.send(call)
        except BaseException as error:
            await self._give_up(granted, error)
            raise
        used = completion.prompt_tokens + completion.completion_tokens
        self._settle(granted, used or None)
        measures.count("call.ok")
        measures.observe("call", completion.seconds)
        return completion

    async def _open(
        self, call: PreparedCall, scope: CallScope, deadline: Deadline
    ) -> StreamedReply:
        granted = await self._granted(call, scope, deadline)
        try:
            return await call.outlet.open(call, granted)
        except BaseException as error:
            await self._give_up(granted, error)
            raise

    async def _granted(self, call: PreparedCall, scope: CallScope, deadline: Deadline) -> Granted:
        granted = await self._gate.acquire(
            call.outlet.provider.name,
            tokens=call.estimate,
            run_id=scope.run_id,
            run_slots=scope.run_slots,
            rank=scope.rank,
            flow=scope.flow,
            patience_s=deadline.left_s,
        )
        scope.tally.attempt(again=deadline.attempts > 0)
        deadline.attempts += 1
        return granted

    async def _give_up(self, granted: Granted, error: BaseException) -> None:
        """Return the slot of a call that failed; tell the gate what that says of the provider."""
        self._note_failure(error)
        try:
            if isinstance(error, RateLimitedError) and error.wait_s:
                await self._gate.block(granted.provider, error.wait_s)
        finally:
            self._settle(granted, None, error)

    def _note_failure(self, error: BaseException) -> None:
        kind = failure_class(error)
        self.failures[kind] += 1
        measures.count(f"call.failed.{kind}")

    def _settle(
        self, granted: Granted, used: int | None, error: BaseException | None = None
    ) -> None:
        """Give the slot back without waiting: an answer that is paid for goes on at once."""
        sent = not isinstance(error, ProviderDownError) or error.sent
        unpaid = isinstance(error, RateLimitedError | RefusedCallError) or not sent
        returned = self._gate.settle(
            granted, used_tokens=0 if unpaid else used, ending=ending_of(error), sent=sent
        )
        if not returned.done():
            returned.add_done_callback(note_unreturned)

    async def warm_up(self) -> None:
        """Open a connection to each provider, fallbacks too, before the first call; never fails."""
        await asyncio.gather(*(outlet.warm_up() for outlet in self._outlets.values()))

    @property
    def pool(self) -> PoolCounts:
        """Count connections and requests so far, to fallbacks too."""
        pools = [outlet.pool for outlet in self._outlets.values()]
        return PoolCounts(
            open=sum(pool.open for pool in pools),
            opened=sum(pool.opened for pool in pools),
            requests=sum(pool.requests for pool in pools),
        )

    async def close(self) -> None:
        """Close the connections."""
        for outlet in self._outlets.values():
            await outlet.close()


def note_unreturned(returned: "asyncio.Future[None]") -> None:
    """Say in the log that a slot could not be returned; it expires with its lease."""
    if not returned.cancelled() and returned.exception() is not None:
        log.warning("a slot is left to expire: %s", returned.exception())


def ending_of(error: BaseException | None) -> Ending:
    """What the end of a call says of the provider."""
    if error is None:
        return "ok"
    if isinstance(error, RateLimitedError):
        return "limited"
    return "down" if isinstance(error, ProviderDownError) else "other"
