"""Structured replies: schema out, document in, one re-ask when the reply does not fit."""

import hashlib
import re
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, Protocol

from json_repair import repair_json
from pydantic import BaseModel, ValidationError

from tasks.errors import BadReplyError, FilteredReplyError, TruncatedReplyError
from tasks.llm.providers import Provider
from tasks.llm.scope import CallScope
from tasks.schemas.calls import Message, Reply, StructuredCall
from tasks.schemas.completion import ChatRequest, Completion
from tasks.turns import Turns

MOST_ERRORS_NAMED = 5
FILTERED = frozenset({"content_filter", "refusal"})


class Completes(Protocol):
    """What a logical call is asked of: the client, or the replies of a batch."""

    @property
    def provider(self) -> Provider:
        """Whose models are asked."""

    async def complete(self, request: ChatRequest, *, key: str, scope: CallScope) -> Completion:
        """Make one logical call."""


async def ask_structured(
    completer: Completes, call: StructuredCall[Reply], scope: CallScope, *, turns: Turns
) -> Reply:
    """Ask until the reply is valid for the call's model, at most twice.

    Raises BadReplyError when the re-ask does not help either, TruncatedReplyError when the reply
    stopped at its token limit twice, FilteredReplyError when it was withheld twice,
    ConfigurationError when a picture meets a blind provider, and what the completer raises.
    """
    request = request_of(completer, call)
    scope = replace(scope, accept=partial(parse, reply=call.reply))
    first = await completer.complete(
        request, key=idempotency_key(scope.key, call.name, 0), scope=scope
    )
    await turns.mine()
    try:
        return parse(first, call.reply)
    except BadReplyError as error:
        again = request.model_copy(update={"messages": with_complaint(request, first, error)})
    second = await completer.complete(
        again, key=idempotency_key(scope.key, call.name, 1), scope=scope
    )
    return parse(second, call.reply)


def request_of(completer: Completes, call: StructuredCall[Any]) -> ChatRequest:
    """Choose the model and attach the schema. Raises ConfigurationError, see `model_for`."""
    sees = any(m.image for m in call.messages)
    return ChatRequest(
        messages=call.messages,
        model=call.model or completer.provider.model_for(call.task, sees=sees),
        temperature=call.temperature,
        max_tokens=call.max_tokens,
        schema_name=re.sub(r"[^A-Za-z0-9_-]", "_", call.reply.__name__),
        schema_body=schema_of(call.reply),  # type: ignore[arg-type]  # a class is hashable
        cache=call.cache,
        search=call.search,
    )


@lru_cache(maxsize=256)
def schema_of(reply: type[BaseModel]) -> dict[str, Any]:
    """The reply's JSON schema, made once per type."""
    return reply.model_json_schema()


def parse(completion: Completion, reply: type[Reply]) -> Reply:
    """Read a completion's text as the reply; mends small JSON damage, never a cut reply."""
    if completion.finish_reason == "length":
        raise TruncatedReplyError("the reply stopped at its token limit")
    if completion.finish_reason in FILTERED:
        raise FilteredReplyError("the provider's content filter withheld the reply")
    if not completion.text.strip():
        raise BadReplyError("the reply is empty")
    try:
        return reply.model_validate_json(completion.text)
    except ValidationError as error:
        strict = error
    try:
        return reply.model_validate_json(repair_json(completion.text))
    except ValidationError:
        raise BadReplyError(f"the reply does not fit its schema: {summary(strict)}") from None


def summary(error: ValidationError) -> str:
    """Name the wrong fields and what is wrong with them; the values stay out."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    lines = [f"{'.'.join(str(p) for p in e['loc']) or 'reply'}: {e['msg']}" for e in found]
    more = len(lines) - MOST_ERRORS_NAMED
    return "; ".join(lines[:MOST_ERRORS_NAMED]) + (f"; and {more} more" if more > 0 else "")


def with_complaint(
    request: ChatRequest, reply: Completion, error: BadReplyError
) -> tuple[Message, ...]:
    """Show the model its reply and what was wrong with it."""
    shown = () if not reply.text.strip() else (Message(role="assistant", content=reply.text),)
    complaint = f"That answer cannot be used: {error}. Answer again, complete, and only with JSON."
    return (*request.messages, *shown, Message(role="user", content=complaint))


def idempotency_key(scope: str, name: str, ask: int) -> str:
    """The same for every attempt of one ask, different for any other; tells nothing."""
    return hashlib.sha256(f"{scope}|{name}|{ask}".encode()).hexdigest()[:40]
