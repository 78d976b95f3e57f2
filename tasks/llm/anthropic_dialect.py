"""The messages dialect that Anthropic speaks."""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from tasks.errors import BadReplyError, ProviderDownError
from tasks.presets import Structured
from tasks.schemas.calls import Message
from tasks.schemas.completion import ChatRequest, Completion, StreamEvent

VERSION = "2023-06-01"
HOTTEST = 1.0
DATA_URL = re.compile(r"data:(?P<media>image/[\w.+-]+);base64,(?P<data>.*)", re.DOTALL)
ENDINGS: Mapping[str, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}


class AnthropicDialect:
    """Messages (docs.anthropic.com/en/api/messages, version 2023-06-01, read 2026-11)."""

    path = "messages"

    def headers(self, api_key: str) -> Mapping[str, str]:
        """Name the caller and the version."""
        named = {"x-api-key": api_key} if api_key else {}
        return {"anthropic-version": VERSION, **named}

    def body(self, request: ChatRequest, structured: Structured) -> dict[str, Any]:
        """Build the request's body; a schema goes as the one tool that must be used."""
        system, turns = split(request.messages)
        built: dict[str, Any] = {
            "model": request.model,
            "max_tokens": request.max_tokens,
            "messages": turns,
            "temperature": min(request.temperature, HOTTEST),
        }
        if request.schema_body is not None and structured == "json_schema":
            built["tools"] = [
                {
                    "name": request.schema_name,
                    "description": "Takes the complete answer.",
                    "input_schema": request.schema_body,
                }
            ]
            built["tool_choice"] = {"type": "tool", "name": request.schema_name}
        elif request.schema_body is not None:
            system = f"{system}\n\n{spelled_out(request.schema_body)}".lstrip()
        if system:
            built["system"] = system
        if request.stream:
            built["stream"] = True
        return built

    def completion(self, payload: Any, *, asked_model: str, seconds: float = 0.0) -> Completion:
        """Read a reply's payload. Raises BadReplyError when it is not a message."""
        try:
            usage = payload.get("usage") or {}
            return Completion(
                text=text_of(payload["content"]),
                finish_reason=ENDINGS.get(payload.get("stop_reason") or "", "stop"),
                model=payload.get("model") or asked_model,
                prompt_tokens=prompt_tokens(usage),
                completion_tokens=int(usage.get("output_tokens") or 0),
                seconds=seconds,
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise BadReplyError("the provider's answer is not a message") from error

    def stream_event(self, data: str) -> StreamEvent:
        """Read one event of a streamed message.

        Raises BadReplyError when it is none, ProviderDownError when the provider breaks off.
        """
        try:
            return event_of(json.loads(data))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise BadReplyError("an event of the provider's stream is not a message's") from error


def event_of(event: Mapping[str, Any]) -> StreamEvent:
    """Read one event; kinds that say nothing of the reply (`ping`, blocks' ends) are empty."""
    match event["type"]:
        case "message_start":
            message = event["message"]
            usage = message.get("usage") or {}
            return StreamEvent(model=message.get("model") or "", prompt_tokens=prompt_tokens(usage))
        case "content_block_delta":
            delta = event["delta"]
            return StreamEvent(text=delta.get("text") or delta.get("partial_json") or "")
        case "message_delta":
            usage = event.get("usage") or {}
            return StreamEvent(
                finish_reason=ENDINGS.get(event["delta"].get("stop_reason") or "", "stop"),
                completion_tokens=int(usage.get("output_tokens") or 0),
            )
        case "message_stop":
            return StreamEvent(last=True)
        case "error":
            raise ProviderDownError("the provider broke the reply off with an error object")
    return StreamEvent()


def split(messages: Sequence[Message]) -> tuple[str, list[dict[str, Any]]]:
    """Put system messages together and what remains into turns; there is at least one turn."""
    system = "\n\n".join(m.content for m in messages if m.role == "system")
    talk = [m for m in messages if m.role != "system"]
    if not talk:
        return "", [{"role": "user", "content": [{"type": "text", "text": system}]}]
    turns = [
        {"role": role, "content": [block for m in said for block in blocks(m)]}
        for role, said in groupby(talk, key=lambda m: m.role)
    ]
    return system, turns


def blocks(message: Message) -> list[dict[str, Any]]:
    """Render one message; a picture goes before its text, an empty text nowhere."""
    found: list[dict[str, Any]] = []
    if message.image is not None:
        found.append({"type": "image", "source": image_source(message.image)})
    if message.content.strip() or not found:
        found.append({"type": "text", "text": message.content})
    return found


def image_source(url: str) -> dict[str, str]:
    """Read a data URL into its parts; any other address goes as it is."""
    parts = DATA_URL.fullmatch(url)
    if parts is None:
        return {"type": "url", "url": url}
    return {"type": "base64", "media_type": parts["media"], "data": parts["data"]}


def spelled_out(schema: Mapping[str, Any]) -> str:
    """Ask for a schema in words."""
    written = json.dumps(schema, ensure_ascii=False)
    return (
        "Answer with one JSON object and nothing else. "
        f"It must be valid for this schema:\n{written}"
    )


def text_of(content: Sequence[Mapping[str, Any]]) -> str:
    """Read the answer: a tool's input as JSON, else the texts together."""
    for block in content:
        if block["type"] == "tool_use":
            return json.dumps(block["input"], ensure_ascii=False)
    return "".join(block["text"] for block in content if block["type"] == "text")


def prompt_tokens(usage: Mapping[str, Any]) -> int:
    """Add up what was read, from a cache or not."""
    parts = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return sum(int(usage.get(part) or 0) for part in parts)
