"""Completes one logical model call through gate, transport and retries.

It owns attempts, deadlines and the idempotency key's journey; prompts belong to the stages, parsing
to `tasks.llm.structured`, limits to the gate.
"""

import asyncio
import logging
import time
from dataclasses import dataclass

import httpx
from tenacity import AsyncRetrying

from tasks.errors import (
    ProviderDownError,
    RateLimitedError,
    RefusedCallError,
    TransientError,
)
from tasks.gate.gate import Gate
from tasks.llm.answers import network_error, payload_of
from tasks.llm.dialects import DIALECTS
from tasks.llm.providers import Provider
from tasks.llm.retrying import RetryPolicy
from tasks.llm.scope import CallScope
from tasks.llm.tracing import note_completion, traced
from tasks.llm.transport import Wire
from tasks.schemas.calls import Message
from tasks.schemas.completion import ChatRequest, Completion
from tasks.schemas.limits import Ending

log = logging.getLogger(__name__)

CHARACTERS_PER_TOKEN = 4
IMAGE_TOKENS = 800


@dataclass(frozen=True, kw_only=True)
class PreparedCall:
    """A request that is ready to leave, and the tokens that it may use."""

    model: str
    request: httpx.Request
    estimate: int


class Completer:
    """Completes calls of one provider, on one loop; close it on the loop that used it."""

    def __init__(self, provider: Provider, gate: Gate, *, retry_scale: float = 1.0) -> None:
        self.provider = provider
        self._dialect = DIALECTS[provider.dialect]
        self._gate = gate
        self._retry_scale = retry_scale
        self._wire = Wire(
            provider.base_url,
            headers=self._dialect.headers(provider.api_key.get_secret_value()),
            timeout_s=provider.timeout_s,
        )

    async def complete(self, request: ChatRequest, *, key: str, scope: CallScope) -> Completion:
        """Make one logical call, with its retries and then the fallback models.

        `key` is sent as `Idempotency-Key` with every attempt; attempts and tokens are counted in
        the scope's tally whatever comes of them. Raises RefusedCallError (do not try
        again), RateLimitedError or ProviderDownError (all attempts spent), BadReplyError.
        """
        models = (request.model, *(f.model for f in self.provider.fallbacks))
        attempts = 0
        for position, model in enumerate(models):
            asked = request.model_copy(update={"model": model})
            call = self._prepared(asked, key)
            policy = RetryPolicy(scale=self._retry_scale)
            retrying = AsyncRetrying(retry=policy.wants, wait=policy.pause_s, reraise=True)
            try:
                with traced("model call", kind="llm", ls_provider=self.provider.name) as trace:
                    async for attempt in retrying:
                        with attempt:
                            scope.tally.attempt(again=attempts > 0)
                            attempts += 1
                            done = await self._attempt(call, scope)
                    note_completion(trace, done)
                scope.tally.complete(done)
                return done.model_copy(update={"attempts": attempts})
            except (TransientError, RefusedCallError) as error:
                if position + 1 == len(models) or is_about_key(error):
                    raise
        raise AssertionError("there is always one model to ask")

    def _prepared(self, request: ChatRequest, key: str) -> PreparedCall:
        """Do all that can be done before a slot is ours: an empty slot is a call less."""
        body = self._dialect.body(request, self.provider.structured)
        return PreparedCall(
            model=request.model,
            request=self._wire.post(self._dialect.path, body, key=key),
            estimate=estimated_tokens(request.messages) + request.max_tokens,
        )

    async def _attempt(self, call: PreparedCall, scope: CallScope) -> Completion:
        granted = await self._gate.acquire(
            self.provider.name,
            tokens=call.estimate,
            run_id=scope.run_id,
            run_slots=scope.run_slots,
            rank=scope.rank,
            flow=scope.flow,
        )
        used: int | None = None
        ending: Ending = "other"
        sent = True
        try:
            completion = await self._send(call)
            used = completion.prompt_tokens + completion.completion_tokens or None
            ending = "ok"
            return completion
        except ProviderDownError as error:
            ending, sent = "down", error.sent
            used = None if sent else 0
            raise
        except RefusedCallError:
            used = 0
            raise
        except RateLimitedError as error:
            used, ending = 0, "limited"
            if error.wait_s:
                await self._gate.block(self.provider.name, error.wait_s)
            raise
        finally:
            # Nobody waits for it: an answer that is paid for goes on at once.
            returned = self._gate.settle(granted, used_tokens=used, ending=ending, sent=sent)
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

    async def close(self) -> None:
        """Close the connections."""
        await self._wire.close()


def note_unreturned(returned: "asyncio.Future[None]") -> None:
    """Say in the log that a slot could not be returned; it expires with its lease."""
    if not returned.cancelled() and returned.exception() is not None:
        log.warning("a slot is left to expire: %s", returned.exception())


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
