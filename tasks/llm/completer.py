"""Completes one logical model call through gate, transport and retries.

It owns attempts, deadlines and the idempotency key's journey; prompts belong to the stages, parsing
to `tasks.llm.structured`, limits to the gate, the wire to `tasks.llm.outlet`.
"""

import asyncio
import logging
from collections.abc import Iterator

from tenacity import AsyncRetrying

from tasks.errors import (
    ProviderDownError,
    RateLimitedError,
    RefusedCallError,
    ServiceAwayError,
    TransientError,
)
from tasks.gate.gate import Gate
from tasks.llm.fallbacks import Failure, told, worth_asking
from tasks.llm.outlet import Outlet, PreparedCall
from tasks.llm.providers import Provider
from tasks.llm.retrying import RetryPolicy
from tasks.llm.scope import CallScope
from tasks.llm.tracing import note_completion, traced
from tasks.schemas.completion import ChatRequest, Completion
from tasks.schemas.limits import Ending

log = logging.getLogger(__name__)


class Completer:
    """Completes calls of one provider, on one loop; close it on the loop that used it."""

    def __init__(self, provider: Provider, gate: Gate, *, retry_scale: float = 1.0) -> None:
        self.provider = provider
        self._gate = gate
        self._retry_scale = retry_scale
        self._outlets = {provider.name: Outlet(provider)}
        for fallback in provider.fallbacks:
            if fallback.provider is not None:
                self._outlets.setdefault(fallback.provider.name, Outlet(fallback.provider))

    async def complete(self, request: ChatRequest, *, key: str, scope: CallScope) -> Completion:
        """Make one logical call, with its retries and then the fallbacks, each behind its own gate.

        `key` is sent as `Idempotency-Key` with every attempt; attempts and tokens are counted in
        the scope's tally whatever comes of them. Raises RefusedCallError (do not try
        again), RateLimitedError or ProviderDownError (all attempts spent), BadReplyError,
        ProviderOpenError while its breaker is open and no fallback has helped.
        """
        attempts = 0
        failed: list[Failure] = []
        for outlet, model in self._targets(request.model):
            if not worth_asking(outlet.provider, failed):
                continue
            call = outlet.prepared(request, model=model, key=key)
            policy = RetryPolicy(scale=self._retry_scale)
            retrying = AsyncRetrying(retry=policy.wants, wait=policy.pause_s, reraise=True)
            try:
                with traced("model call", kind="llm", ls_provider=outlet.provider.name) as trace:
                    async for attempt in retrying:
                        with attempt:
                            scope.tally.attempt(again=attempts > 0)
                            attempts += 1
                            done = await self._attempt(outlet, call, scope)
                    note_completion(trace, done)
                scope.tally.complete(done)
                return done.model_copy(update={"attempts": attempts})
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

    async def _attempt(self, outlet: Outlet, call: PreparedCall, scope: CallScope) -> Completion:
        granted = await self._gate.acquire(
            outlet.provider.name,
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
            completion = await outlet.send(call)
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
                await self._gate.block(outlet.provider.name, error.wait_s)
            raise
        finally:
            # Nobody waits for it: an answer that is paid for goes on at once.
            returned = self._gate.settle(granted, used_tokens=used, ending=ending, sent=sent)
            returned.add_done_callback(note_unreturned)

    async def close(self) -> None:
        """Close the connections."""
        for outlet in self._outlets.values():
            await outlet.close()


def note_unreturned(returned: "asyncio.Future[None]") -> None:
    """Say in the log that a slot could not be returned; it expires with its lease."""
    if not returned.cancelled() and returned.exception() is not None:
        log.warning("a slot is left to expire: %s", returned.exception())
