"""The chat-completions dialect that OpenAI, Groq, DeepSeek, BigModel and most servers speak."""

import json
from collections.abc import Mapping
from typing import Any

from tasks.errors import BadReplyError, ProviderDownError
from tasks.presets import Structured
from tasks.schemas.calls import Message
from tasks.schemas.completion import ChatRequest, Completion, StreamEvent

DONE = "[DONE]"


class OpenAIDialect:
    """Chat completions (platform.openai.com/docs/api-reference/chat, read 2026-11)."""

    path = "chat/completions"

    def headers(self, api_key: str) -> Mapping[str, str]:
        """Name the caller by a bearer token."""
        return {"Authorization": f"Bearer {api_key}"} if api_key else {}

    def body(self, request: ChatRequest, structured: Structured) -> dict[str, Any]:
        """Build the request's body; the schema goes where this provider takes it."""
        return body(request, structured)

    def completion(self, payload: Any, *, asked_model: str, seconds: float = 0.0) -> Completion:
        """Read a reply's payload. Raises BadReplyError when it is not a chat completion."""
        return completion(payload, asked_model=asked_model, seconds=seconds)

    def stream_event(self, data: str) -> StreamEvent:
        """Read one chunk, or the `[DONE]` that ends them."""
        return StreamEvent(last=True) if data == DONE else chunk(data)


def body(request: ChatRequest, structured: Structured) -> dict[str, Any]:
    """Build the request's body; the schema goes where this provider takes it."""
    built: dict[str, Any] = {
        "model": request.model,
        "messages": [message_part(m) for m in with_schema(request, structured)],
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
    }
    if request.stream:
        built |= {"stream": True, "stream_options": {"include_usage": True}}
    if request.schema_body is not None and structured == "json_schema":
        built["response_format"] = {
            "type": "json_schema",
            "json_schema": {
                "name": request.schema_name,
                "strict": True,
                "schema": request.schema_body,
            },
        }
    elif request.schema_body is not None and structured == "json_object":
        built["response_format"] = {"type": "json_object"}
    return built


def with_schema(request: ChatRequest, structured: Structured) -> tuple[Message, ...]:
    """Put the schema into the prompt for providers that do not take it as a parameter."""
    if request.schema_body is None or structured == "json_schema":
        return request.messages
    schema = json.dumps(request.schema_body, ensure_ascii=False)
    rule = (
        f"Answer with one JSON object and nothing else. It must be valid for this schema:\n{schema}"
    )
    return (*request.messages, Message(role="system", content=rule))


def message_part(message: Message) -> dict[str, Any]:
    """Render one message; a picture goes as a second content part."""
    if message.image is None:
        return {"role": message.role, "content": message.content}
    return {
        "role": message.role,
        "content": [
            {"type": "text", "text": message.content},
            {"type": "image_url", "image_url": {"url": message.image}},
        ],
    }


def completion(payload: Any, *, asked_model: str, seconds: float = 0.0) -> Completion:
    """Read a reply's payload. Raises BadReplyError when it is not a chat completion."""
    try:
        choice = payload["choices"][0]
        message = choice["message"]
        refused = bool(message.get("refusal")) and not message.get("content")
        usage = payload.get("usage") or {}
        return Completion(
            text=message.get("content") or "",
            finish_reason="refusal" if refused else choice.get("finish_reason") or "",
            model=payload.get("model") or asked_model,
            prompt_tokens=int(usage.get("prompt_tokens") or 0),
            completion_tokens=int(usage.get("completion_tokens") or 0),
            seconds=seconds,
        )
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise BadReplyError("the provider's answer is not a chat completion") from error


def chunk(data: str) -> StreamEvent:
    """Read one chunk of a streamed reply; the one with the usage has no choice.

    Raises BadReplyError when it is none, ProviderDownError when it is an error object.
    """
    try:
        payload = json.loads(data)
        if payload.get("error"):
            raise ProviderDownError("the provider broke the reply off with an error object")
        choice: Any = next(iter(payload.get("choices") or ()), {})
        usage = payload.get("usage") or {}
        return StreamEvent(
            text=(choice.get("delta") or {}).get("content") or "",
            finish_reason=choice.get("finish_reason") or "",
            model=payload.get("model") or "",
            prompt_tokens=int(usage.get("prompt_tokens") or 0),
            completion_tokens=int(usage.get("completion_tokens") or 0),
        )
    except (TypeError, AttributeError, ValueError) as error:
        raise BadReplyError("an event of the provider's stream is not a chunk") from error
