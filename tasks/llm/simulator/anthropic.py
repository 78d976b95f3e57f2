"""The simulated provider's Anthropic face: `POST /v1/messages` in, message out.

A request is checked as Anthropic checks it (docs.anthropic.com/en/api/messages, version 2023-06-01,
read 2026-11), then put into the words of the chat endpoint, so that one model answers both.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tasks.llm.simulator.api import Enveloped
from tasks.llm.simulator.reply import Reply
from tasks.llm.simulator.request import BadRequestError, ChatRequest, chat_request

_ENDINGS = {"stop": "end_turn", "length": "max_tokens"}
_KINDS = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error",
          429: "rate_limit_error", 529: "overloaded_error"}  # fmt: skip
_PIECE_CHARACTERS = 16


class AnthropicApi:
    """Messages."""

    overloaded = 529

    def key_of(self, headers: Mapping[str, str]) -> str:
        """Read the key."""
        return headers.get("x-api-key", "")

    def request(self, body: bytes, headers: Mapping[str, str], *, vision: bool) -> ChatRequest:
        """Read and check a request. Raises BadRequestError."""
        if not headers.get("anthropic-version"):
            raise BadRequestError("anthropic-version: header is required")
        try:
            asked = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise BadRequestError(f"the body is not JSON: {error}") from error
        if not isinstance(asked, dict):
            raise BadRequestError("the body must be a JSON object")
        tool = _forced_tool(asked)
        chat = {
            "model": asked.get("model"),
            "messages": [*_system(asked), *_turns(asked)],
            "max_tokens": _max_tokens(asked),
            "stream": asked.get("stream"),
            **({"response_format": _format(tool)} if tool else {}),
        }
        request = chat_request(json.dumps(chat).encode(), vision=vision)
        return request._replace(tool=tool["name"] if tool else "")

    def envelope(self, request: ChatRequest, *, number: str, created: int) -> Enveloped:
        """Surround the reply to a request."""
        return MessageEnvelope(
            id=f"msg_{number}",
            model=request.model,
            tool=request.tool,
            prompt_tokens=request.prompt_tokens,
        )

    def error(self, status: int, message: str, *, kind: str, code: str) -> bytes:
        """Word an error."""
        error = {"type": _KINDS.get(status, "api_error"), "message": message}
        return _encoded({"type": "error", "error": error})


class MessageEnvelope(NamedTuple):
    """What surrounds a reply; `tool` is the tool that had to be used, "" for none."""

    id: str
    model: str
    tool: str
    prompt_tokens: int

    def completion(self, reply: Reply) -> bytes:
        """A whole message."""
        block = self._block(reply)
        usage = self._usage(reply.completion_tokens)
        ending = self._ending(reply, block)
        return _encoded({**self._head(ending, usage), "content": [block]})

    def chunks(self, reply: Reply, *, usage: bool) -> Iterator[bytes]:
        """A streamed message: server-sent events, the last is `message_stop`."""
        block = self._block(reply)
        empty: dict[str, Any] = {"text": ""} if block["type"] == "text" else {"input": {}}
        started = {**self._head(None, self._usage(0)), "content": []}
        yield _event("message_start", message=started)
        yield _event("content_block_start", index=0, content_block={**block, **empty})
        for at in range(0, len(reply.content), _PIECE_CHARACTERS):
            piece = reply.content[at : at + _PIECE_CHARACTERS]
            delta = (
                {"type": "text_delta", "text": piece}
                if block["type"] == "text"
                else {"type": "input_json_delta", "partial_json": piece}
            )
            yield _event("content_block_delta", index=0, delta=delta)
        yield _event("content_block_stop", index=0)
        ending = {"stop_reason": self._ending(reply, block), "stop_sequence": None}
        used = {"output_tokens": reply.completion_tokens}
        yield _event("message_delta", delta=ending, usage=used)
        yield _event("message_stop")

    def _block(self, reply: Reply) -> dict[str, Any]:
        """The tool's input; as text what no tool would take."""
        try:
            value = json.loads(reply.content) if self.tool else None
        except ValueError:
            value = None
        if not isinstance(value, dict):
            return {"type": "text", "text": reply.content}
        number = self.id.removeprefix("msg_")
        return {"type": "tool_use", "id": f"toolu_{number}", "name": self.tool, "input": value}

    def _ending(self, reply: Reply, block: Mapping[str, Any]) -> str:
        if block["type"] == "tool_use" and reply.finish_reason == "stop":
            return "tool_use"
        return _ENDINGS[reply.finish_reason]

    def _head(self, ending: str | None, usage: dict[str, int]) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "stop_reason": ending,
            "stop_sequence": None,
            "usage": usage,
        }

    def _usage(self, completion_tokens: int) -> dict[str, int]:
        return {"input_tokens": self.prompt_tokens, "output_tokens": completion_tokens}


def _system(asked: dict[str, Any]) -> list[dict[str, Any]]:
    system = asked.get("system")
    if system is None:
        return []
    if not isinstance(system, str | list):
        raise BadRequestError("system: must be a text or a list of text blocks")
    return [{"role": "system", "content": system}]


def _turns(asked: dict[str, Any]) -> list[dict[str, Any]]:
    messages = asked.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequestError("messages: at least one message is required")
    return [_turn(at, message) for at, message in enumerate(messages)]


def _turn(at: int, message: Any) -> dict[str, Any]:
    role = message.get("role") if isinstance(message, dict) else None
    if role not in ("user", "assistant"):
        raise BadRequestError(f"messages.{at}.role: must be user or assistant")
    content = message.get("content")
    if isinstance(content, list):
        return {"role": role, "content": [_part(at, block) for block in content]}
    if not isinstance(content, str) or not content:
        raise BadRequestError(f"messages.{at}.content: a text or a list of blocks is required")
    return {"role": role, "content": content}


def _part(at: int, block: Any) -> dict[str, Any]:
    """One content block as a part of a chat message."""
    match block:
        case {"type": "text", "text": str(text)} if text:
            return {"type": "text", "text": text}
        case {
            "type": "image",
            "source": {"type": "base64", "media_type": str(media), "data": str(data)},
        }:
            return {"type": "image_url", "image_url": {"url": f"data:{media};base64,{data}"}}
    raise BadRequestError(f"messages.{at}.content: a block is neither a text nor a base64 image")


def _max_tokens(asked: dict[str, Any]) -> int:
    limit = asked.get("max_tokens")
    if not isinstance(limit, int) or limit < 1:
        raise BadRequestError("max_tokens: a number from 1 is required")
    heat = asked.get("temperature", 1.0)
    if not isinstance(heat, int | float) or not 0 <= heat <= 1:
        raise BadRequestError("temperature: a number from 0 to 1 is required")
    return limit


def _forced_tool(asked: dict[str, Any]) -> dict[str, Any] | None:
    """The tool that must be used; others would never be, here."""
    choice = asked.get("tool_choice") or {}
    if choice.get("type") != "tool":
        return None
    for tool in asked.get("tools") or []:
        if isinstance(tool, dict) and tool.get("name") == choice.get("name"):
            if not isinstance(tool.get("input_schema"), dict):
                raise BadRequestError("tools: input_schema is required")
            return tool
    raise BadRequestError(f"tool_choice: there is no tool {choice.get('name')!r:.60}")


def _format(tool: dict[str, Any]) -> dict[str, Any]:
    """A tool's input as the response format of the chat endpoint."""
    described = {"name": tool["name"], "strict": True, "schema": tool["input_schema"]}
    return {"type": "json_schema", "json_schema": described}


def _event(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: ".encode() + _encoded({"type": kind, **members}) + b"\n\n"


def _encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
