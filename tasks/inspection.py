"""Tells a message of ours from anything else, before Celery sees it; pure.

Celery ends on some of the things that can lie in a queue and comes back to them for ever on others
(docs/reliability.md), so a worker is only handed what a sender of ours could have written.
"""

import base64
import json
from collections.abc import Container
from typing import Any

JSON = "application/json"


class NotOursError(ValueError):
    """What is wrong with a message."""


def fault_of(raw: bytes, known: Container[str]) -> str:
    """Say what is wrong with a message as it lies in its queue, "" when nothing is.

    `known` are the names of the tasks that this worker can do.
    """
    try:
        check(raw, known)
    except NotOursError as fault:
        return str(fault)
    return ""


def check(raw: bytes, known: Container[str]) -> None:
    """Check a message's envelope, headers and body. Raises NotOursError."""
    envelope = mapping(parsed(raw, "the envelope"), "the envelope")
    properties = mapping(envelope.get("properties"), "properties")
    mapping(properties.get("delivery_info"), "properties.delivery_info")
    if not isinstance(properties.get("delivery_tag"), str):
        raise NotOursError("properties.delivery_tag is missing")
    if envelope.get("content-type") != JSON:
        raise NotOursError("the content type is not application/json")
    headers = mapping(envelope.get("headers"), "headers")
    if not isinstance(headers.get("id"), str) or not headers["id"]:
        raise NotOursError("headers.id is missing")
    if headers.get("task") not in known:
        raise NotOursError("headers.task is no task of this worker")
    if headers.get("eta") is not None or headers.get("expires") is not None:
        raise NotOursError(
            "headers.eta or headers.expires is set: nothing of ours waits in a worker"
        )
    check_body(envelope.get("body"), properties.get("body_encoding"))


def check_body(body: object, encoding: object) -> None:
    """Check that a body is the arguments of a step: a run and its step or steps."""
    if not isinstance(body, str):
        raise NotOursError("the body is missing")
    try:
        text = base64.b64decode(body, validate=True) if encoding == "base64" else body.encode()
    except ValueError:
        raise NotOursError("the body is not base64") from None
    content = parsed(text, "the body")
    if not isinstance(content, list) or len(content) != 3:
        raise NotOursError("the body is not [args, kwargs, embed]")
    args, kwargs, embed = content
    mapping(kwargs, "the body's kwargs")
    mapping(embed, "the body's embed")
    if not isinstance(args, list) or len(args) != 2 or not isinstance(args[0], str):
        raise NotOursError("the body's args are not a run and its steps")
    steps = args[1] if isinstance(args[1], list) else [args[1]]
    if not steps or not all(isinstance(step, str) for step in steps):
        raise NotOursError("the body's args are not a run and its steps")


def parsed(text: bytes, what: str) -> Any:
    """Read JSON. Raises NotOursError."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise NotOursError(f"{what} is not JSON") from None


def mapping(value: object, what: str) -> dict[str, Any]:
    """Return a JSON object. Raises NotOursError."""
    if not isinstance(value, dict):
        raise NotOursError(f"{what} is no JSON object")
    return value
