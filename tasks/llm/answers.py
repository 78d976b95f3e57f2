"""Reads an HTTP answer into a payload or into our errors; no prompt or key enters a message."""

import email.utils
import json
import time
from typing import Any

import aiohttp
import httpx

from tasks.errors import (
    BadReplyError,
    CastlineError,
    ProviderDownError,
    RateLimitedError,
    RefusedCallError,
)

LARGEST_REPLY_BYTES = 8 * 1024 * 1024
UNCONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
SERVER_TROUBLE = frozenset({500, 502, 503, 504, 529})
REFUSALS = {
    400: "the provider refuses the request as malformed",
    401: "the provider refuses the key",
    403: "the provider forbids this call",
    404: "the provider does not know this address or model",
}


def payload_of(response: httpx.Response, *, provider: str) -> Any:
    """Read the JSON of a good answer; raise the error that fits a bad one."""
    if response.status_code != httpx.codes.OK:
        raise error_of(response, provider=provider)
    if len(response.content) > LARGEST_REPLY_BYTES:
        raise BadReplyError(f"{provider}: reply of {len(response.content)} bytes is refused")
    try:
        payload = json.loads(response.content)
    except ValueError as error:
        kind = response.headers.get("content-type", "no content type")
        raise BadReplyError(f"{provider}: the answer is not JSON ({kind})") from error
    if isinstance(payload, dict) and payload.get("error"):
        raise BadReplyError(f"{provider}: the answer is an error object with status 200")
    return payload


def error_of(response: httpx.Response, *, provider: str) -> CastlineError:
    """Choose our error for an answer that is not 200."""
    status = response.status_code
    if status == httpx.codes.TOO_MANY_REQUESTS:
        wait_s = retry_after_s(response.headers.get("retry-after"), now=time.time())
        return RateLimitedError(f"{provider}: 429, over the limit", wait_s=wait_s)
    if status in SERVER_TROUBLE:
        return ProviderDownError(f"{provider}: HTTP {status}", status=status)
    meaning = REFUSALS.get(status, "the provider refuses the call")
    hint = "check CASTLINE_LLM_API_KEY" if status in (401, 403) else ""
    return RefusedCallError(f"{provider}: HTTP {status}, {meaning}", status=status, hint=hint)


def retry_after_s(header: str | None, *, now: float) -> float | None:
    """Read `Retry-After` (RFC 9110 section 10.2.3): seconds or a date; None when absent or odd."""
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - now)
    except (ValueError, TypeError):
        return None


def network_error(error: httpx.HTTPError, *, provider: str) -> ProviderDownError:
    """Translate what the transport raised.

    httpx's name for it does not tell whether anything left: httpx-aiohttp calls a server that
    hangs up after reading a request a ConnectTimeout.
    """
    found = error.__cause__ or error
    return ProviderDownError(
        f"{provider}: {type(found).__name__}", sent=not isinstance(found, UNCONNECTED)
    )
