"""The HTTP way to one provider: httpx's types over aiohttp's connection pool, without a cap.

httpx's own pool is quadratic in kept connections, and aiohttp's connector keeps to 100 unless told
otherwise; here the gate limits, so the pool does not. Requests go straight to the transport: a
client's cookies, redirects and authentication flows are a third of a call's CPU time and unused.
"""

import json
from collections.abc import Mapping
from typing import Any

import httpx
from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from httpx_aiohttp import AiohttpTransport
from pydantic_core import PydanticSerializationError, to_json

KEEPALIVE_S = 60.0
CONNECT_S = 10.0


class Wire:
    """Posts JSON to one provider, on one loop; close it on the loop that used it."""

    def __init__(self, base_url: str, *, headers: Mapping[str, str], timeout_s: float) -> None:
        self._base = httpx.URL(base_url.rstrip("/") + "/")
        self._headers = {
            "User-Agent": "castline",
            "Accept": "application/json",
            "Content-Type": "application/json",
            **headers,
        }
        timeout = httpx.Timeout(timeout_s, connect=CONNECT_S)
        self._extensions = {"timeout": timeout.as_dict()}
        self._addresses: dict[str, httpx.URL] = {}
        self._transport: AiohttpTransport | None = None

    def post(self, path: str, body: Any, *, key: str, stream: bool = False) -> httpx.Request:
        """Prepare a request, which may be sent more than once; `key` is its Idempotency-Key."""
        accept = {"Accept": "text/event-stream"} if stream else {}
        if path not in self._addresses:
            self._addresses[path] = self._base.join(path)
        return httpx.Request(
            "POST",
            self._addresses[path],
            headers={**self._headers, **accept, "Idempotency-Key": key},
            content=encoded(body),
            extensions=self._extensions,
        )

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Send a request and read its answer whole. Raises httpx.HTTPError."""
        response = await self.open(request)
        try:
            await response.aread()
        finally:
            await response.aclose()
        return response

    async def open(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the caller reads its answer and closes it. Raises httpx.HTTPError."""
        if self._transport is None:
            self._transport = open_transport()
        response: httpx.Response = await self._transport.handle_async_request(request)
        return response

    async def close(self) -> None:
        """Close the connections."""
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None


def encoded(body: Any) -> bytes:
    """Encode JSON; lone surrogates, which models write now and then, go as escapes."""
    try:
        return to_json(body)
    except PydanticSerializationError:
        return json.dumps(body).encode()


def open_transport() -> AiohttpTransport:
    """Open a pool of connections, on the loop that uses it."""
    session = ClientSession(
        connector=TCPConnector(limit=0, limit_per_host=0, keepalive_timeout=KEEPALIVE_S),
        timeout=ClientTimeout(total=None),
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
    )
    return AiohttpTransport(client=session)
