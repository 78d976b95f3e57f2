"""Messages that no worker can do, each wrong in one way."""

import base64
import json
import uuid
from typing import Any


def message(run_id: str = "20261124-000000-none", step: str = "p0.core", **headers: Any) -> Any:
    """Build a message as Castline's own senders write it, as a dict."""
    body = json.dumps([[run_id, step], {}, {}]).encode()
    task = str(uuid.uuid4())
    return {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": "persona.core", "id": task, "eta": None, **headers},
        "properties": {
            "correlation_id": task,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "castline", "routing_key": "llm.1-interactive.2-rest"},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        },
    }


def with_body(body: bytes, **changes: Any) -> bytes:
    """Build a message with this body."""
    return json.dumps({**message(), "body": base64.b64encode(body).decode(), **changes}).encode()


def without(part: str, key: str) -> bytes:
    """Build a message that lacks a key."""
    built = message()
    del built[part][key]
    return json.dumps(built).encode()


POISON: dict[str, bytes] = {
    "envelope is not JSON": b"\x80\x04\x95 not json \xff",
    "JSON without properties": json.dumps({"body": "x"}).encode(),
    "body is not JSON": with_body(b"{half"),
    "body is 5": with_body(b"5"),
    "body of two elements": with_body(b'[["r", "p0.core"], {}]'),
    "pickle": with_body(b"\x80\x04K\x05.", **{"content-type": "application/x-python-serialize"}),
    "unknown task": json.dumps(message(task="persona.soul")).encode(),
    "bad ETA": json.dumps(message(eta="next tuesday")).encode(),
    "missing id": without("headers", "id"),
    "arguments of another program": with_body(b"[[1, 2, 3], {}, {}]"),
}
