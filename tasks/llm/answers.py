"""Reads an HTTP answer into a payload or into our errors; no prompt or key enters a message."""

import email.utils
import json
import math
import re
import time
from collections.abc import Mapping
from typing import Any, Protocol

import aiohttp
import httpx
from pydantic_core import from_json

from tasks.errors import (
    BadReplyError,
    CastlineError,
    ProviderDownError,
    RateLimitedError,
    RefusedCallError,
)
from tasks.llm.providers import OWN_KEY

OK = int(httpx.codes.OK)
LARGEST_ERROR_BYTES = 64 * 1024
PARAMETER_HINTS = {
    "response_format": 'set structured = "json_object" or "prompt" of its table in castline.toml',
    "json_schema": 'set structured = "json_object" or "prompt" of its table in castline.toml',
    "max_tokens": 'set limit_key = "max_completion_tokens" of its table in castline.toml',
    "temperature": 'set omit = ["temperature"] of its table in castline.toml',
}
NO_CREDIT = "insufficient_quota"  # OpenAI's word; asking again in a second does not help
UNCONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
SERVER_TROUBLE = frozenset({500, 502, 503, 504, 529})
REFUSALS = {
    400: "the provider refuses the request as malformed",
    401: "the provider refuses the key",
    402: "the provider asks for payment",
    403: "the provider forbids this call",
    404: "the provider does not know this address or model",
}
NO_SUCH_MODEL = re.compile(
    r"model.{0,200}(not[ _](exist|found)|does not exist)"
    r"|(unknown|no such|invalid)[ _]model",
    re.IGNORECASE | re.DOTALL,
)


class HttpAnswer(Protocol):
    """What is read of an answer, whoever received it."""

    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def content(self) -> bytes: ...


def payload_of(
    response: HttpAnswer, *, provider: str, model: str = "", key_setting: str = OWN_KEY
) -> Any:
    """Read the JSON of a good answer; raise the error that fits a bad one.

    `model` is what was asked and `key_setting` where the key was set, for messages. The content
    type is not trusted: JSON is read under any name, and is UTF-8 whatever charset is claimed
    (RFC 8259 section 8.1).
    """
    if response.status_code != OK:
        raise error_of(response, provider=provider, model=model, key_setting=key_setting)
    try:
        payload = parsed(response.content)
    except (ValueError, RecursionError) as error:
        raise BadReplyError(f"{provider}: the answer {what_it_is(response)}") from error
    if isinstance(payload, dict) and payload.get("error"):
        raise BadReplyError(f"{provider}: the answer is an error object with status 200")
    return payload


def parsed(content: bytes) -> Any:
    """Parse JSON. Raises ValueError, RecursionError."""
    try:
        return from_json(content)
    except ValueError:  # a lone surrogate or UTF-16, which this one refuses, or no JSON at all
        return json.loads(content)


def what_it_is(response: HttpAnswer) -> str:
    """Describe an answer that is not JSON, without repeating it."""
    start = response.content[:200].lstrip()
    if not start:
        return "is empty"
    if start[:1] == b"<":
        return "is a web page, not JSON: something between here and there answers in its place"
    if start[:1] in (b"{", b"["):
        return "is JSON that breaks off or is damaged"
    return f"is not JSON ({response.headers.get('content-type', 'no content type')})"


def error_of(
    response: HttpAnswer, *, provider: str, model: str = "", key_setting: str = OWN_KEY
) -> CastlineError:
    """Choose our error for an answer that is not 200."""
    status = response.status_code
    if status == httpx.codes.TOO_MANY_REQUESTS and NO_CREDIT in reason_of(response):
        return RefusedCallError(
            f"{provider}: HTTP 429, the account's credit is used up",
            status=status,
            hint="pay the provider, or raise the account's spending limit",
        )
    if status == httpx.codes.TOO_MANY_REQUESTS:
        wait_s = retry_after_s(response.headers.get("retry-after"), now=its_time(response))
        return RateLimitedError(f"{provider}: 429, over the limit", wait_s=wait_s)
    if status in SERVER_TROUBLE:
        return ProviderDownError(f"{provider}: HTTP {status}", status=status)
    if model and (status == httpx.codes.NOT_FOUND or is_about_model(response)):
        return unknown_model(response, provider=provider, model=model)
    meaning = REFUSALS.get(status, "the provider refuses the call")
    hint = f"check {key_setting}" if status in (401, 403) else parameter_hint(response)
    return RefusedCallError(f"{provider}: HTTP {status}, {meaning}", status=status, hint=hint)


def unknown_model(response: HttpAnswer, *, provider: str, model: str) -> RefusedCallError:
    """Say which model the provider does not know; a bare 404 may mean the address as well."""
    status = response.status_code
    certain = is_about_model(response)
    what = f"does not know the model {model!r}"
    return RefusedCallError(
        f"{provider}: {what}{'' if certain else ', or nothing is at this address'} (HTTP {status})",
        status=status,
        hint=f"correct model{'' if certain else ' or base_url'} of [providers.{provider}], "
        f"or CASTLINE_LLM_MODEL{'' if certain else ' and CASTLINE_LLM_BASE_URL'}",
    )


def is_about_model(response: HttpAnswer) -> bool:
    """Whether a refusal says that the model does not exist."""
    return NO_SUCH_MODEL.search(reason_of(response)) is not None


def parameter_hint(response: HttpAnswer) -> str:
    """Name the setting that makes up for a parameter that a refusal complains of, or ""."""
    reason = reason_of(response)
    return next((hint for word, hint in PARAMETER_HINTS.items() if word in reason), "")


def reason_of(response: HttpAnswer) -> str:
    """Read why a request was refused; it is looked through, never shown: it may hold anything."""
    refused = (httpx.codes.BAD_REQUEST, httpx.codes.NOT_FOUND, httpx.codes.TOO_MANY_REQUESTS)
    if response.status_code not in refused or len(response.content) > LARGEST_ERROR_BYTES:
        return ""
    try:
        error = json.loads(response.content)["error"]
        return " ".join(str(error.get(key)) for key in ("code", "param", "message"))
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return ""


def its_time(response: HttpAnswer) -> float:
    """Read the provider's own clock, Unix time: ours may be wrong, and a date is meant by its."""
    try:
        return email.utils.parsedate_to_datetime(response.headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return time.time()


def retry_after_s(header: str | None, *, now: float) -> float | None:
    """Read `Retry-After` (RFC 9110 section 10.2.3): seconds or a date; None when absent or odd."""
    if not header:
        return None
    try:
        seconds = float(header)
        return max(0.0, seconds) if math.isfinite(seconds) else None
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
