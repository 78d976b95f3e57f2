"""Asks a search endpoint of one's own, in SearXNG's words.

(docs.searxng.org/dev/search_api.html, read 2026-11: `q`, `format=json`; `results` with `title`,
`url` and `content`.)
"""

import json
from typing import Any

import httpx

from tasks.errors import ConfigurationError, PermanentError, TransientError
from tasks.schemas.analyses import Finding

MOST_BYTES = 4 * 2**20
MOST_FINDINGS = 10
NOT_SEARXNG = "CASTLINE_SEARCH_URL must be SearXNG's /search, with json among its formats"


async def search_endpoint(url: str, query: str, *, timeout_s: float) -> tuple[int, list[Finding]]:
    """Search for `query`; returns how many results there were, and the first ten.

    Raises TransientError when the endpoint is away or overloaded, ConfigurationError when it
    refuses (SearXNG answers 403 where JSON is not among its formats), PermanentError for any other
    answer.
    """
    body = bytearray()
    try:
        async with (
            httpx.AsyncClient(timeout=timeout_s) as client,
            client.stream("GET", url, params={"q": query, "format": "json"}) as answer,
        ):
            check_status(answer.status_code)
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > MOST_BYTES:
                    raise PermanentError("the search endpoint's answer is over 4 MiB")
    except httpx.HTTPError as error:
        raise TransientError(
            f"the search endpoint did not answer ({type(error).__name__})",
            hint="check CASTLINE_SEARCH_URL",
        ) from error
    return read_results(bytes(body))


def check_status(status: int) -> None:
    """Turn a status that is no answer into an error."""
    if status == 429 or status >= 500:
        raise TransientError(f"the search endpoint answered {status}")
    if status != 200:
        raise ConfigurationError(f"the search endpoint answered {status}", hint=NOT_SEARXNG)


def read_results(body: bytes) -> tuple[int, list[Finding]]:
    """Read an answer. Raises PermanentError when it is not SearXNG's JSON."""
    try:
        results = json.loads(body)["results"]
        return len(results), [finding(one) for one in results[:MOST_FINDINGS]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PermanentError(
            "the search endpoint's answer is not SearXNG's JSON", hint=NOT_SEARXNG
        ) from error


def finding(result: Any) -> Finding:
    """Read one result; long texts are cut."""
    return Finding(
        title=str(result.get("title") or "")[:300],
        text=str(result.get("content") or "")[:2000],
        url=str(result.get("url") or "")[:500],
    )
