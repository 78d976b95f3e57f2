"""A chat completion as it was asked for, checked as a provider checks it."""

import json
from typing import Any, NamedTuple

from tasks.errors import BadInputError
from tasks.llm.simulator.prompt import text_of
from tasks.llm.simulator.tokens import PER_IMAGE, tokens_of


class BadRequestError(BadInputError):
    """The request cannot be answered; the provider says 400."""


class ChatRequest(NamedTuple):
    """One chat completion: what it asks, and `serialised` to tell it from any other.

    `schema` is the JSON schema's text, "" for none; `max_tokens` 0 means no limit; `tool` names the
    tool whose input the schema describes, "" when the reply itself has it; `search` is what is to
    be looked up on the web.
    """

    model: str
    text: str
    serialised: str
    schema: str
    wants_object: bool
    strict: bool
    max_tokens: int
    stream: bool
    stream_usage: bool
    prompt_tokens: int
    tool: str = ""
    search: str = ""


def chat_request(body: bytes, *, vision: bool) -> ChatRequest:
    """Read and check a request's body.

    Raises BadRequestError saying what is wrong with it.
    """
    asked = _parsed(body)
    messages = _messages(asked)
    images = _images(messages, vision=vision)
    response_format = asked.get("response_format") or {}
    kind = _member(response_format, "type", str, "response_format.type") or "text"
    schema, strict = _schema(response_format) if kind == "json_schema" else ("", False)
    text = text_of(messages)
    return ChatRequest(
        model=asked["model"],
        text=text,
        serialised=json.dumps(messages, sort_keys=True),
        schema=schema,
        wants_object=kind == "json_object",
        strict=strict,
        max_tokens=_max_tokens(asked),
        stream=bool(asked.get("stream")),
        stream_usage=bool((asked.get("stream_options") or {}).get("include_usage")),
        prompt_tokens=tokens_of(text) + PER_IMAGE * images,
        search=_search(asked),
    )


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"the body is not JSON: {error}") from error
    if not isinstance(asked, dict):
        raise BadRequestError("the body must be a JSON object")
    if not isinstance(asked.get("model"), str) or not asked["model"]:
        raise BadRequestError("you must provide a model parameter")
    if asked.get("n") not in (None, 1):
        raise BadRequestError("the simulated provider answers with one choice: n must be 1")
    return asked


def _messages(asked: dict[str, Any]) -> list[dict[str, Any]]:
    messages = asked.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequestError("messages must be a list with at least one message")
    for at, message in enumerate(messages):
        if not isinstance(message, dict) or "role" not in message:
            raise BadRequestError(f"messages[{at}] must be an object with a role")
        if not isinstance(message.get("content"), str | list | None):
            raise BadRequestError(f"messages[{at}].content must be a text or a list of parts")
    return messages


def _images(messages: list[dict[str, Any]], *, vision: bool) -> int:
    contents = [m["content"] for m in messages if isinstance(m.get("content"), list)]
    parts = [part for content in contents for part in content]
    images = [p for p in parts if isinstance(p, dict) and p.get("type") == "image_url"]
    if images and not vision:
        raise BadRequestError("this model does not support image input")
    for image in images:
        url = (image.get("image_url") or {}).get("url", "")
        if not str(url).startswith("data:image/"):
            raise BadRequestError("image_url must be a data URL: data:image/png;base64,...")
    return len(images)


def _schema(response_format: dict[str, Any]) -> tuple[str, bool]:
    described = _member(response_format, "json_schema", dict, "response_format.json_schema")
    if not described or not isinstance(described.get("schema"), dict | bool):
        raise BadRequestError("response_format.json_schema.schema is missing")
    return json.dumps(described["schema"]), described.get("strict") is True


def _member(box: Any, key: str, kind: type, name: str) -> Any:
    value = box.get(key) if isinstance(box, dict) else box
    if value is not None and not isinstance(value, kind):
        raise BadRequestError(f"{name} cannot be {value!r:.60}")
    return value


def _max_tokens(asked: dict[str, Any]) -> int:
    limit = asked.get("max_completion_tokens") or asked.get("max_tokens") or 0
    if not isinstance(limit, int) or limit < 0:
        raise BadRequestError(f"max_tokens cannot be {limit!r:.60}")
    return limit


def _search(asked: dict[str, Any]) -> str:
    """Read BigModel's web_search tool; other tools are left alone."""
    tools = asked.get("tools")
    for tool in tools if isinstance(tools, list) else []:
        if isinstance(tool, dict) and tool.get("type") == "web_search":
            described = tool.get("web_search")
            query = described.get("search_query") if isinstance(described, dict) else None
            if not isinstance(query, str) or not query.strip():
                raise BadRequestError("web_search.search_query is missing")
            return query
    return ""
