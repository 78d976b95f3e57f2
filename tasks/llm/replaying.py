"""Answers calls from replies that are known; those that are not yet are gathered, not made.

It stands where the client does when a run's calls travel in the provider's batches. Where replies
are kept, and who fetches them, is the ledger's and `tasks.batches`'s business.
"""

import asyncio
from collections.abc import Awaitable, Callable

from tasks.errors import PermanentError, RefusedCallError
from tasks.llm.outlet import body_of
from tasks.llm.pending import KnownReplies, PendingRepliesError
from tasks.llm.providers import Provider
from tasks.llm.scope import CallScope
from tasks.llm.transport import encoded
from tasks.schemas.batches import BatchReply, PendingCall
from tasks.schemas.completion import ChatRequest, Completion

GATHER_S = 0.05  # calls side by side are written down together: one batch instead of several


class ReplayingCompleter:
    """A completer for one step; `load` is asked once, by the first call."""

    def __init__(self, provider: Provider, load: Callable[[], Awaitable[KnownReplies]]) -> None:
        self.provider = provider
        self._load = load
        self._loading: asyncio.Future[KnownReplies] | None = None
        self._pending: list[PendingCall] = []

    async def complete(self, request: ChatRequest, *, key: str, scope: CallScope) -> Completion:
        """Return a call's completion, its attempts counted in the scope's tally.

        Raises PendingRepliesError with all calls that are side by side without an answer, and
        RefusedCallError or PermanentError for a call that failed for good.
        """
        if self._loading is None:
            self._loading = asyncio.ensure_future(self._load())
        known = await self._loading
        reply = known.replies.get(key)
        if reply is None or reply.again:
            attempt = reply.attempts + 1 if reply else 1
            self._pending.append(self._pending_call(request, key, attempt))
            await asyncio.sleep(GATHER_S)
            raise PendingRepliesError(tuple(self._pending), known_bytes=known.size_bytes)
        for attempt in range(reply.attempts):
            scope.tally.attempt(again=attempt > 0)
        if reply.completion is None:
            raise failure_of(reply, self.provider.name)
        scope.tally.complete(reply.completion)
        return reply.completion.model_copy(update={"attempts": reply.attempts})

    def _pending_call(self, request: ChatRequest, key: str, attempt: int) -> PendingCall:
        body = body_of(self.provider, request)
        text = encoded(body).decode()
        return PendingCall(key=key, model=request.model, body=text, attempt=attempt)


def failure_of(reply: BatchReply, provider: str) -> PermanentError:
    """Build the error of a call that failed for good."""
    if 400 <= reply.status < 500 and reply.status != 429:
        told = f"{provider}: HTTP {reply.status} in a batch, the provider refuses the call"
        return RefusedCallError(told, status=reply.status)
    return PermanentError(f"{provider}: {reply.error}")
