"""The model client for programs of their own: sync and async faces of one session.

Every client has one loop in a thread of its own, on which its connections, its gate and its calls
live; both faces hand their calls over to it (docs/decisions/0017). So it may be used from any
thread and any loop, from several at once, and from sync code inside of a running loop.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator
from concurrent.futures import CancelledError as FutureCancelledError
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from pydantic import SecretStr

from tasks.errors import AsyncOffError, CastlineError
from tasks.llm.arguments import (
    Item,
    Messages,
    Question,
    checked_count,
    context_messages,
    question_of,
    request_of,
    small_of,
)
from tasks.llm.bridge import Bridge, closed_error
from tasks.llm.bulk import in_order, in_order_async
from tasks.llm.choosing import resolve_provider
from tasks.llm.client_settings import client_settings
from tasks.llm.session import ClientStatus, Session
from tasks.schemas.completion import ChatRequest


class LLMClient:
    """Calls one provider, within its limits; close it, or use it as a context manager.

    Without arguments it reads the settings (environment, `.env`, castline.toml). Its gate is the
    cluster's when a Redis is configured, else its own in memory (`status()["gate"]`). All calls
    raise errors of `tasks.errors`, once it is closed ClientClosedError, which is a RuntimeError.
    """

    def __init__(
        self,
        *,
        provider: str = "",
        base_url: str = "",
        api_key: str | SecretStr = "",
        model: str = "",
        workers: int | None = None,
        queue_size: int | None = None,
        timeout_s: float | None = None,
        cache: bool = False,
    ) -> None:
        """Read the settings; what is given goes before them.

        `workers` calls are under way at once, `queue_size` more may wait, each may take `timeout_s`
        in all (LLM_ASYNC_WORKERS, LLM_ASYNC_QUEUE_SIZE, LLM_ASYNC_TIMEOUT). With `cache`, who asks
        the same at temperature 0 shares one reply. Raises ConfigurationError.
        """
        self._settings = client_settings(
            provider=provider,
            base_url=base_url,
            api_key=api_key,
            model=model,
            workers=workers,
            queue_size=queue_size,
            timeout_s=timeout_s,
            cache=cache,
        )
        self.provider = resolve_provider(self._settings)
        self._bridge = Bridge(self._settings, self.provider)

    def chat(
        self,
        prompt: str,
        temperature: float = 0.0,
        max_tokens: int = 256,
        system_prompt: str | None = None,
    ) -> str:
        """Answer a prompt."""
        request = self._request(prompt, temperature, max_tokens, system_prompt)
        return self._bridge.wait(Session.complete, request).text

    async def chat_async(
        self,
        prompt: str,
        temperature: float = 0.0,
        max_tokens: int = 256,
        system_prompt: str | None = None,
    ) -> str:
        """Answer a prompt; cancelling gives the provider's slot back."""
        self._check_async()
        request = self._request(prompt, temperature, max_tokens, system_prompt)
        return (await self._bridge.hop(Session.complete, request)).text

    def chat_with_context(
        self, messages: Messages, temperature: float = 0.7, max_tokens: int = 256
    ) -> str:
        """Go on with a conversation: `[{"role": "user", "content": "…"}, …]`."""
        request = self._request(context_messages(messages), temperature, max_tokens)
        return self._bridge.wait(Session.complete, request).text

    async def chat_with_context_async(
        self, messages: Messages, temperature: float = 0.7, max_tokens: int = 256
    ) -> str:
        """Go on with a conversation: `[{"role": "user", "content": "…"}, …]`."""
        self._check_async()
        request = self._request(context_messages(messages), temperature, max_tokens)
        return (await self._bridge.hop(Session.complete, request)).text

    def stream(
        self,
        prompt: str | Messages,
        temperature: float = 0.0,
        max_tokens: int = 256,
        system_prompt: str | None = None,
    ) -> Iterator[str]:
        """Answer a prompt or a conversation piece by piece; leaving the loop ends the call.

        Raises ProviderDownError after the pieces that came when the reply breaks off.
        """
        request = self._request(prompt, temperature, max_tokens, system_prompt)
        return self._bridge.pieces(request)

    def stream_async(
        self,
        prompt: str | Messages,
        temperature: float = 0.0,
        max_tokens: int = 256,
        system_prompt: str | None = None,
    ) -> AsyncGenerator[str, None]:
        """Answer a prompt or a conversation piece by piece; closing the iterator ends the call.

        Raises ProviderDownError after the pieces that came when the reply breaks off.
        """
        self._check_async()
        return self._bridge.pieces_async(
            self._request(prompt, temperature, max_tokens, system_prompt)
        )

    def ask_small(self, prompt: str, priority: int = 0, max_tokens: int = 64) -> str:
        """Answer a small question by a call that it shares with others, asked from other threads.

        Questions gather for CASTLINE_ASYNC_SMALL_WAIT_S, at most CASTLINE_ASYNC_SMALL_SIZE; lower
        priorities go first. They share one prompt: only for askers who trust each other.
        """
        return self._bridge.wait(Session.ask_small, small_of(prompt, max_tokens), priority)

    async def ask_small_async(self, prompt: str, priority: int = 0, max_tokens: int = 64) -> str:
        """Answer a small question as `ask_small` does; cancelling takes it out."""
        self._check_async()
        return await self._bridge.hop(Session.ask_small, small_of(prompt, max_tokens), priority)

    def batch(
        self,
        items: Iterable[Item],
        batch_size: int | None = None,
        max_in_flight: int | None = None,
        *,
        temperature: float = 0.0,
        max_tokens: int = 256,
        system_prompt: str | None = None,
    ) -> list[str | CastlineError]:
        """Answer prompts, conversations or Questions; results in order, errors in their places.

        Items are taken in this thread as they fit: at most `batch_size` are taken and unfinished,
        `max_in_flight` of them (never more than the client's workers) are under way. They wait for
        their place as long as it takes; each one's timeout begins with it.
        """
        default = Question("-", system_prompt, temperature, max_tokens)
        places, at_once = self._batch(batch_size, max_in_flight, default)

        def start(item: Item) -> Future[str]:
            request = request_of(self.provider, question_of(item, default))
            return self._bridge.start(Session.chat_in_turn, request, places)

        try:
            return in_order(items, start, at_once=at_once)
        except FutureCancelledError:
            raise closed_error() from None

    async def batch_async(
        self,
        items: Iterable[Item] | AsyncIterable[Item],
        batch_size: int | None = None,
        max_in_flight: int | None = None,
        *,
        temperature: float = 0.0,
        max_tokens: int = 256,
        system_prompt: str | None = None,
    ) -> list[str | CastlineError]:
        """Answer as `batch` does; items are taken on the running loop."""
        self._check_async()
        default = Question("-", system_prompt, temperature, max_tokens)
        places, at_once = self._batch(batch_size, max_in_flight, default)

        async def answer(item: Item) -> str:
            request = request_of(self.provider, question_of(item, default))
            return await self._bridge.hop(Session.chat_in_turn, request, places)

        return await in_order_async(items, answer, at_once=at_once)

    def warm_up(self) -> None:
        """Open a connection to each provider, so that the first call finds one; never fails."""
        self._bridge.wait(Session.warm_up)

    async def warm_up_async(self) -> None:
        """Open connections as `warm_up` does."""
        self._check_async()
        await self._bridge.hop(Session.warm_up)

    def status(self) -> ClientStatus:
        """Count calls under way, calls that wait, and connections."""
        return self._bridge.wait(current_status)

    def close(self) -> None:
        """Let the calls that are under way end, within their deadlines, and close; twice is once.

        Calls that are made meanwhile are refused.
        """
        self._bridge.close()

    cleanup = close

    async def aclose(self) -> None:
        """Close without holding up the running loop."""
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        self._bridge.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._bridge.open)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"LLMClient(provider={self.provider.name!r}, model={self.provider.model!r})"

    def _request(
        self,
        prompt: str | Messages,
        temperature: float,
        max_tokens: int,
        system_prompt: str | None = None,
    ) -> ChatRequest:
        return request_of(self.provider, Question(prompt, system_prompt, temperature, max_tokens))

    def _batch(
        self, batch_size: int | None, max_in_flight: int | None, default: Question
    ) -> tuple[asyncio.Semaphore, int]:
        """Make the places that a batch's calls share, and say how many items are taken at once.

        Never more than the provider takes in one batch: more are split and come back in order.
        """
        most = self.provider.max_batch
        at_once = (
            most if batch_size is None else min(checked_count(batch_size, name="batch_size"), most)
        )
        places = asyncio.Semaphore(
            self._settings.async_workers
            if max_in_flight is None
            else checked_count(max_in_flight, name="max_in_flight")
        )
        request_of(self.provider, default)  # its numbers are checked before anything is taken
        return places, at_once

    def _check_async(self) -> None:
        if not self._settings.async_enabled:
            raise AsyncOffError(
                "the asynchronous functions are off: LLM_ASYNC_ENABLED is false",
                hint="set LLM_ASYNC_ENABLED=true, or call chat() instead of chat_async()",
            )


async def current_status(session: Session) -> ClientStatus:
    """Read a session's status on its own loop."""
    return session.status()
