"""Speaks to a provider's /files and /batches; what is in them, and when, is `tasks.batches`'s.

Fields as in platform.openai.com/docs/api-reference/batch, read 2026-11.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError
from tenacity import AsyncRetrying

from tasks.errors import BadReplyError
from tasks.llm.answers import error_of, network_error, payload_of
from tasks.llm.batch_lines import endpoint_of
from tasks.llm.content_coding import ACCEPTED
from tasks.llm.dialects import DIALECTS
from tasks.llm.providers import Provider
from tasks.llm.retrying import RetryPolicy
from tasks.llm.transport import (
    CONNECT_S,
    LARGEST_REPLY_BYTES,
    open_session,
    read_response,
    transport_over,
)

CHUNK_KEY = "castline_chunk"
HEADERS = {"User-Agent": "castline", "Accept-Encoding": ACCEPTED}
UNCOMPRESSED = {"Accept-Encoding": "identity"}  # it is read as it comes
PAGE = 100
MOST_PAGES = 50
CLOCK_SLACK_S = 600


class BatchView(BaseModel):
    """What we read of a batch object; providers add fields of their own."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    status: str
    created_at: int = 0
    output_file_id: str | None = None
    error_file_id: str | None = None
    errors: dict[str, Any] | None = None
    metadata: dict[str, str] | None = None

    @property
    def error_codes(self) -> tuple[str, ...]:
        """The codes of what was wrong with the input file."""
        found = (self.errors or {}).get("data") or []
        return tuple(str(error.get("code")) for error in found if isinstance(error, dict))


class BatchClient:
    """Calls one provider, on one loop; close it there.

    Every method raises RefusedCallError, RateLimitedError, ProviderDownError or BadReplyError, all
    but `create` after retries.
    """

    def __init__(self, provider: Provider, *, retry_scale: float = 1.0) -> None:
        self._provider = provider
        self._retry_scale = retry_scale
        self._http: httpx.AsyncClient | None = None
        self.dialect = DIALECTS[provider.dialect]
        self.endpoint = endpoint_of(provider.base_url, self.dialect.path)

    async def upload(self, name: str, content: bytes) -> str:
        """Upload an input file; returns its id. Twice does no harm but space."""
        payload = await self._again(
            "POST", "files", data={"purpose": "batch"}, files={"file": (name, content)}
        )
        if not payload.get("id"):
            raise BadReplyError(f"{self._provider.name}: an uploaded file got no id")
        return str(payload["id"])

    async def create(self, file_id: str, *, chunk_id: str, run_id: str) -> BatchView:
        """Create a batch, never twice by itself: after an error, look with `find` first."""
        asked = {
            "input_file_id": file_id,
            "endpoint": self.endpoint,
            "completion_window": "24h",
            "metadata": {CHUNK_KEY: chunk_id, "castline_run": run_id},
        }
        return view_of(await self._once("POST", "batches", json=asked))

    async def find(self, chunk_id: str, *, since_s: float) -> list[BatchView]:
        """Find the batches that carry a chunk's id, the oldest first, failed ones left out.

        Looks at those that were created after `since_s` (Unix time), with slack for clocks.
        """
        found: list[BatchView] = []
        after = ""
        for _ in range(MOST_PAGES):
            query = {"limit": str(PAGE), **({"after": after} if after else {})}
            payload = await self._again("GET", "batches", params=query)
            page = [view_of(entry) for entry in payload.get("data") or []]
            found += [v for v in page if (v.metadata or {}).get(CHUNK_KEY) == chunk_id]
            if not page or not payload.get("has_more"):
                break
            if page[-1].created_at < since_s - CLOCK_SLACK_S:
                break
            after = page[-1].id
        return [view for view in reversed(found) if view.status != "failed"]

    async def batch(self, batch_id: str) -> BatchView:
        """Look at a batch."""
        return view_of(await self._again("GET", f"batches/{batch_id}"))

    async def cancel(self, batch_id: str) -> None:
        """Ask a batch to end; one that has ended is left alone."""
        if (await self.batch(batch_id)).status in ("validating", "in_progress", "finalizing"):
            await self._again("POST", f"batches/{batch_id}/cancel")

    async def delete(self, file_id: str) -> None:
        """Delete a file."""
        await self._again("DELETE", f"files/{file_id}")

    async def lines(self, file_id: str) -> AsyncIterator[dict[str, Any]]:
        """Read a result file line by line; what is no JSON object, or too long, is left out.

        Lines end at a newline only: texts may hold what Unicode calls a line's end.
        """
        rest = b""
        get = self._client().stream("GET", f"files/{file_id}/content", headers=UNCOMPRESSED)
        try:
            async with get as response:
                if response.status_code != httpx.codes.OK:
                    raise error_of(await read_response(response), provider=self._provider.name)
                async for piece in response.aiter_bytes():
                    *whole, rest = (rest + piece).split(b"\n")
                    rest = rest[: LARGEST_REPLY_BYTES + 1]
                    for line in whole:
                        if (entry := entry_of(line)) is not None:
                            yield entry
        except httpx.HTTPError as error:
            raise network_error(error, provider=self._provider.name) from error
        if (entry := entry_of(rest)) is not None:
            yield entry

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def _again(self, method: str, path: str, **members: Any) -> Any:
        policy = RetryPolicy(scale=self._retry_scale)
        retrying = AsyncRetrying(retry=policy.wants, wait=policy.pause_s, reraise=True)
        return await retrying(self._once, method, path, **members)

    async def _once(self, method: str, path: str, **members: Any) -> Any:
        try:
            async with self._client().stream(method, path, **members) as response:
                answer = await read_response(response)
        except httpx.HTTPError as error:
            raise network_error(error, provider=self._provider.name) from error
        payload = payload_of(answer, provider=self._provider.name)
        if not isinstance(payload, dict):
            raise BadReplyError(f"{self._provider.name}: /{path} answers no JSON object")
        return payload

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            key = self._provider.api_key.get_secret_value()
            self._http = httpx.AsyncClient(
                base_url=self._provider.base_url.rstrip("/") + "/",
                headers={**HEADERS, **self.dialect.headers(key)},
                transport=transport_over(open_session()),
                timeout=httpx.Timeout(self._provider.timeout_s, connect=CONNECT_S),
            )
        return self._http


def view_of(payload: Any) -> BatchView:
    """Read a batch object. Raises BadReplyError when it is none."""
    try:
        return BatchView.model_validate(payload)
    except ValidationError as error:
        raise BadReplyError("the provider's answer is not a batch") from error


def entry_of(line: bytes) -> dict[str, Any] | None:
    """Read one line of a result file; None for what is no JSON object, or longer than any reply."""
    if len(line) > LARGEST_REPLY_BYTES:
        return None
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None
