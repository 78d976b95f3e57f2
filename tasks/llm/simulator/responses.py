"""HTTP responses of the simulated provider, as every one of its faces sends them."""

import json
from typing import Any

from aiohttp import web

from tasks.llm.simulator.bodies import error_body


def json_response(value: Any, status: int = 200) -> web.Response:
    """Send a value, or JSON bytes as they are."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return web.Response(body=body, status=status, content_type="application/json")


def error_response(status: int, message: str, *, kind: str, code: str) -> web.Response:
    """Send an error as the API words it."""
    return json_response(error_body(message, kind=kind, code=code), status)


def bad_request(message: str, *, code: str = "bad_request") -> web.Response:
    """Refuse what is wrong with a request."""
    return error_response(400, message, kind="invalid_request_error", code=code)


def not_found(message: str) -> web.Response:
    """Say that there is no such thing."""
    return error_response(404, message, kind="invalid_request_error", code="not_found")
