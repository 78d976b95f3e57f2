"""One provider's wire with its dialect: prepares single requests and sends them.

When a request may leave is the gate's business, trying again the completer's.
"""

import time
from dataclasses import dataclass
from typing import Any

import httpx

from tasks.llm.answers import network_error, payload_of
from tasks.llm.dialects import DIALECTS
from tasks.llm.providers import Provider
from tasks.llm.streaming import StreamedReply, open_stream
from tasks.llm.strict_schema import strict_schema
from tasks.llm.transport import Outgoing, PoolCounts, Wire
from tasks.llm.web_search import results_found, with_search
from tasks.schemas.calls import Message
from tasks.schemas.completion import ChatRequest, Completion
from tasks.schemas.limits import Granted

CHARACTERS_PER_TOKEN = 4
IMAGE_TOKENS = 800


@dataclass(frozen=True, kw_only=True)
class PreparedCall:
    """A request that is ready to leave, and the tokens that it may use."""

    outlet: "Outlet"
    model: str
    request: Outgoing
    estimate: int
    searches: bool = False


class Outlet:
    """The way to one provider, on one loop; close it on the loop that used it."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._dialect = DIALECTS[provider.dialect]
        self._wire = Wire(
            provider.base_url,
            headers=self._dialect.headers(provider.api_key.get_secret_value()),
            timeout_s=provider.timeout_s,
        )

    def prepared(self, request: ChatRequest, *, model: str, key: str) -> PreparedCall:
        """Do all that can be done before a slot is ours: an empty slot is a call less."""
        if request.model != model:
            request = request.model_copy(update={"model": model})
        body = body_of(self.provider, request)
        return PreparedCall(
            outlet=self,
            model=model,
            request=self._wire.post(self._dialect.path, body, key=key),
            estimate=estimated_tokens(request.messages) + request.max_tokens,
            searches=bool(request.search),
        )

    async def send(self, call: PreparedCall) -> Completion:
        """Send a request once.

        Raises RateLimitedError, ProviderDownError, RefusedCallError, BadReplyError.
        """
        begun = time.monotonic()
        try:
            answer = await self._wire.send(call.request)
        except httpx.HTTPError as error:
            raise network_error(error, provider=self.provider.name) from error
        payload = payload_of(
            answer,
            provider=self.provider.name,
            model=call.model,
            key_setting=self.provider.key_setting,
        )
        completion = self._dialect.completion(
            payload, asked_model=call.model, seconds=time.monotonic() - begun
        )
        if not call.searches:
            return completion
        found = results_found(payload, self.provider.web_search)
        return completion.model_copy(update={"web_results": found})

    async def open(self, call: PreparedCall, granted: Granted) -> StreamedReply:
        """Send a request once and read up to its first piece of text.

        Raises what `send` raises; then nothing is left open.
        """
        return await open_stream(
            self._wire,
            call.request,
            self._dialect,
            asked_model=call.model,
            provider=self.provider.name,
            key_setting=self.provider.key_setting,
            granted=granted,
        )

    async def warm_up(self) -> None:
        """Open a connection before the first call; never fails."""
        await self._wire.warm_up()

    @property
    def pool(self) -> PoolCounts:
        """Count connections and requests so far."""
        return self._wire.pool

    async def close(self) -> None:
        """Close the connections."""
        await self._wire.close()


def body_of(provider: Provider, request: ChatRequest) -> dict[str, Any]:
    """Put a request into a provider's words, with what it takes of the schema and no more."""
    if provider.strict_schemas and request.schema_body is not None:
        schema = strict_schema(request.schema_body)
        request = request.model_copy(update={"schema_body": schema})
    searches = bool(request.search) and provider.searches
    # Anthropic's schema is a tool that must be used, which leaves no room for a search
    in_words = searches and provider.dialect == "anthropic"
    structured = "prompt" if in_words else provider.structured
    body = DIALECTS[provider.dialect].body(request, structured)
    if searches:
        body = with_search(body, provider.web_search, request.search)
    if provider.limit_key not in body:
        body[provider.limit_key] = body.pop("max_tokens")
    for key in provider.omit:
        body.pop(key, None)
    return body


def estimated_tokens(messages: tuple[Message, ...]) -> int:
    """Estimate a prompt's tokens: 4 ASCII characters or 1 other character each, 800 a picture."""
    total = 0
    for message in messages:
        content = message.content
        ascii_count = len(content if content.isascii() else content.encode("ascii", "ignore"))
        total += ascii_count // CHARACTERS_PER_TOKEN + (len(content) - ascii_count) + 4
        total += IMAGE_TOKENS if message.image else 0
    return total
