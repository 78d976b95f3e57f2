"""What the simulated model answers: the same request and seed, the same words."""

import hashlib
import json
import random
from typing import Any, NamedTuple

from tasks.llm.simulator.echo import mark, marked_text
from tasks.llm.simulator.prompt import prompt_of, schema_in
from tasks.llm.simulator.prose.prose import Prose
from tasks.llm.simulator.request import ChatRequest
from tasks.llm.simulator.schema.conforms import conforms
from tasks.llm.simulator.schema.document import SchemaDocument, document_of
from tasks.llm.simulator.schema.instance import instance_of
from tasks.llm.simulator.tokens import first_tokens, tokens_of

_SOME_OBJECT = json.dumps(
    {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "summary": {"type": "string"},
            "findings": {"type": "array", "items": {"type": "string"}},
            "mood": {"type": "string"},
        },
        "required": ["title", "summary", "findings", "mood"],
    }
)


class Reply(NamedTuple):
    """One answer; `finish_reason` is `stop`, or `length` when max_tokens cut it."""

    content: str
    finish_reason: str
    completion_tokens: int


def reply_to(request: ChatRequest, *, seed: int) -> Reply:
    """Write the answer.

    Raises UnusableSchemaError when the request's schema cannot be satisfied.
    """
    prompt = prompt_of(request.text)
    prose = Prose(_seeded(request, seed), prompt)
    schema = request.schema or _schema_text(request)
    if schema:
        value = _instance(document_of(schema), prose)
        return _limited(json.dumps(value, ensure_ascii=False), request.max_tokens)
    return _limited(marked_text(_plain_text(prose), prompt.markers), request.max_tokens)


def cut_short(reply: Reply) -> Reply:
    """The reply as if its token limit had come half way."""
    content = reply.content[: len(reply.content) // 2]
    return Reply(content, "length", tokens_of(content))


def almost_json(reply: Reply) -> Reply:
    """The reply with one mistake that models make: a trailing comma, or no end."""
    content = reply.content
    if content.endswith("}") and len(content) % 2:
        content = content[:-1] + ",}"
    else:
        content = content[: max(1, len(content) - 3)]
    return Reply(content, "stop", tokens_of(content))


def spoiled(reply: Reply, fault: str | None) -> Reply:
    """The reply with what a fault does to its text; unchanged by all others."""
    match fault:
        case "badjson":
            return almost_json(reply)
        case "truncate":
            return cut_short(reply)
        case "empty":
            return Reply("", "stop", 0)
    return reply


def _seeded(request: ChatRequest, seed: int) -> random.Random:
    text = f"{seed}\0{request.model}\0{request.schema}\0{request.serialised}"
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return random.Random(int.from_bytes(digest))


def _schema_text(request: ChatRequest) -> str:
    spelled_out = schema_in(request.text)
    if spelled_out is not None:
        return json.dumps(spelled_out)
    return _SOME_OBJECT if request.wants_object else ""


def _instance(document: SchemaDocument, prose: Prose) -> Any:
    value = instance_of(document, prose)
    mark(value, prose.prompt.markers, lambda: conforms(value, document.root, document))
    return value


def _plain_text(prose: Prose) -> str:
    if "topic" in prose.prompt.told:
        return prose.on("answer")
    return prose.on("paragraph")


def _limited(content: str, max_tokens: int) -> Reply:
    tokens = tokens_of(content)
    if not max_tokens or tokens <= max_tokens:
        return Reply(content, "stop", tokens)
    return Reply(first_tokens(content, max_tokens), "length", max_tokens)
