"""Completes one logical model call through gate, transport and retries.

It owns attempts, deadlines and the idempotency key's journey; prompts belong to the stages, parsing
to `tasks.llm.structured`, limits to the gate.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import httpx
from tenacity import AsyncRetrying

from tasks.errors import (
    CastlineError,
    ProviderDownError,
    RateLimitedError,
    RefusedCallError,
    TransientError,
)
from tasks.gate.gate import Gate
from tasks.llm.answers import network_error, payload_of
from tasks.llm.deadline import Deadline
from tasks.llm.dialects import DIALECTS
from tasks.llm.providers import Provider
from tasks.llm.retrying import RetryPolicy
from tasks.llm.scope import CallScope
from tasks.llm.streaming import StreamedReply, open_stream
from tasks.llm.tracing import note_completion, traced
from tasks.llm.transport import PoolCounts, Wire
from tasks.schemas.calls import Message
from tasks.schemas.completion import ChatRequest, Completion, StreamEvent
from tasks.schemas.limits import Ending, Granted

log = logging.getLogger(__name__)

CHARACTERS_PER_TOKEN = 4
IMAGE_TOKENS = 800
CALL_DEADLINE_S = 3000.0

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class PreparedCall:
    """A request that is ready to leave, and the tokens that it may use."""

    model: str
    request: httpx.Request
    estimate: int


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
        self._dialect = DIALECTS[provider.dialect]
        self._gate = gate
        self._retry_scale = retry_scale
        self._deadline_s = call_deadline_s
        self._wire = Wire(
            provider.base_url,
            headers=self._dialect.headers(provider.api_key.get_secret_value()),
            timeout_s=provider.timeout_s,
        )

    async def complete(self, request: ChatRequest, *, key: str, scope: CallScope) -> Completion:
        """Make one logical call, with its retries and then the fallback models.

        `key` is sent as `Idempotency-Key` with every attempt; attempts and tokens are counted in
        the scope's tally whatever comes of them. Raises RefusedCallError (do not try
        again), RateLimitedError or ProviderDownError (all attempts spent), DeadlineError (its time
        is over), BadReplyError.
        """
        deadline = scope.deadline or Deadline(self._deadline_s)
        async with deadline.enforced():
            done = await self._answer(self._attempt, request, key, scope, deadline)
        scope.tally.complete(done)
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
        models = (request.model, *self.provider.fallback_models)
        for position, model in enumerate(models):
            asked = request if not position else request.model_copy(update={"model": model})
            call = self._prepared(asked, key)
            try:
                with traced("model call", kind="llm", ls_provider=self.provider.name) as trace:
                    answer = await self._retried(attempt, call, scope, deadline)
                    if isinstance(answer, Completion):
                        note_completion(trace, answer)
                return answer
            except (TransientError, RefusedCallError) as error:
                if position + 1 == len(models) or is_about_key(error):
                    raise
        raise AssertionError("there is always one model to ask")

    async def _retried(
        self, attempt: Attempt[T], call: PreparedCall, scope: CallScope, deadline: Deadline
    ) -> T:
        """Attempt a call as often as its failures are worth it."""
        try:
            return await attempt(call, scope, deadline)
        except TransientError as error:
            failed: TransientError | None = error

        async def again() -> T:
            nonlocal failed
            if failed is not None:
                error, failed = failed, None
                raise error
            return await attempt(call, scope, deadline)

        # only now: tenacity takes a third of a call's CPU time even when nothing fails
        policy = RetryPolicy(scale=self._retry_scale, left_s=lambda: deadline.left_s)
        return await AsyncRetrying(retry=policy.wants, wait=policy.pause_s, reraise=True)(again)

    def _prepared(self, request: ChatRequest, key: str) -> PreparedCall:
        """Do all that can be done before a slot is ours: an empty slot is a call less."""
        body = self._dialect.body(request, self.provider.structured)
        return PreparedCall(
            model=request.model,
            request=self._wire.post(self._dialect.path, body, key=key, stream=request.stream),
            estimate=estimated_tokens(request.messages) + request.max_tokens,
        )

    async def _attempt(
        self, call: PreparedCall, scope: CallScope, deadline: Deadline
    ) -> Completion:
        granted = await self._granted(call, scope, deadline)
        try:
            completion = await self._send(call)
        except BaseException as error:
            await self._give_up(granted, error)
            raise
        used = completion.prompt_tokens + completion.completion_tokens
        self._settle(granted, used or None)
        return completion

    async def _open(
        self, call: PreparedCall, scope: CallScope, deadline: Deadline
    ) -> StreamedReply:
        granted = await self._granted(call, scope, deadline)
        try:
            return await open_stream(
                self._wire,
                call.request,
                self._dialect,
                asked_model=call.model,
                provider=self.provider.name,
                granted=granted,
            )
        except BaseException as error:
            await self._give_up(granted, error)
            raise

    async def _granted(self, call: PreparedCall, scope: CallScope, deadline: Deadline) -> Granted:
        granted = await self._gate.acquire(
            self.provider.name,
            tokens=call.estimate,
            run_id=scope.run_id,
            run_slots=scope.run_slots,
            rank=scope.rank,
            flow=scope.flow,
        )
        scope.tally.attempt(again=deadline.attempts > 0)
        deadline.attempts += 1
        return granted

    async def _give_up(self, granted: Granted, error: BaseException) -> None:
        """Return the slot of a call that failed; tell the gate what that says of the provider."""
        try:
            if isinstance(error, RateLimitedError) and error.wait_s:
                await self._gate.block(self.provider.name, error.wait_s)
        finally:
            self._settle(granted, None, error)

    def _settle(
        self, granted: Granted, used: int | None, error: BaseException | None = None
    ) -> None:
        """Give the slot back without waiting: an answer that is paid for goes on at once."""
        sent = not isinstance(error, ProviderDownError) or error.sent
        unpaid = isinstance(error, RateLimitedError | RefusedCallError) or not sent
        returned = self._gate.settle(
            granted, used_tokens=0 if unpaid else used, ending=ending_of(error), sent=sent
        )
        returned.add_done_callback(note_unreturned)

    async def _send(self, call: PreparedCall) -> Completion:
        begun = time.monotonic()
        try:
            response = await self._wire.send(call.request)
        except httpx.HTTPError as error:
            raise network_error(error, provider=self.provider.name) from error
        payload = payload_of(response, provider=self.provider.name)
        completion = self._dialect.completion(payload, asked_model=call.model)
        return completion.model_copy(update={"seconds": time.monotonic() - begun})

    @property
    def pool(self) -> PoolCounts:
        """Count connections and requests so far."""
        return self._wire.pool

    async def close(self) -> None:
        """Close the connections."""
        await self._wire.close()


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


def is_about_key(error: Exception) -> bool:
    """Whether another model would be refused for the same reason."""
    return isinstance(error, RefusedCallError) and error.status in (401, 403)


def estimated_tokens(messages: tuple[Message, ...]) -> int:
    """Estimate a prompt's tokens: 4 ASCII characters or 1 other character each, 800 a picture."""
    total = 0
    for message in messages:
        ascii_count = len(message.content.encode("ascii", "ignore"))
        total += ascii_count // CHARACTERS_PER_TOKEN + (len(message.content) - ascii_count) + 4
        total += IMAGE_TOKENS if message.image else 0
    return total
