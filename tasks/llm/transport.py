"""The HTTP way to one provider: httpx's types over aiohttp's connection pool, without a cap.

httpx's own pool is quadratic in kept connections, and aiohttp's connector keeps to 100 unless told
otherwise; here the gate limits, so the pool does not. Requests go straight to the transport: a
client's cookies, redirects and authentication flows are a third of a call's CPU time and unused.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, TraceConfig
from httpx_aiohttp import AiohttpTransport
from pydantic_core import PydanticSerializationError, to_json

KEEPALIVE_S = 60.0
CONNECT_S = 10.0


@dataclass(frozen=True)
class PoolCounts:
    """Connections that are open, connections that were ever opened, requests that went out."""

    open: int = 0
    opened: int = 0
    requests: int = 0

    @property
    def reuse_ratio(self) -> float:
        """Requests for each connection that was opened; 0 before the first."""
        return self.requests / self.opened if self.opened else 0.0


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
        self._opened = 0
        self._requests = 0

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
            self._transport = open_transport(self._count_opened)
        self._requests += 1
        response: httpx.Response = await self._transport.handle_async_request(request)
        return response

    async def close(self) -> None:
        """Close the connections."""
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None

    @property
    def pool(self) -> PoolCounts:
        """Count connections and requests so far."""
        return PoolCounts(open_connections(self._transport), self._opened, self._requests)

    async def _count_opened(self, *_: Any) -> None:
        self._opened += 1


def encoded(body: Any) -> bytes:
    """Encode JSON; lone surrogates, which models write now and then, go as escapes."""
    try:
        return to_json(body)
    except PydanticSerializationError:
        return json.dumps(body).encode()


def open_transport(on_opened: Callable[..., Awaitable[None]] | None = None) -> AiohttpTransport:
    """Open a pool of connections, on the loop that uses it; `on_opened` hears of each new one."""
    tracing = TraceConfig()
    if on_opened is not None:
        tracing.on_connection_create_end.append(on_opened)
    session = ClientSession(
        connector=TCPConnector(limit=0, limit_per_host=0, keepalive_timeout=KEEPALIVE_S),
        timeout=ClientTimeout(total=None),
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        trace_configs=[tracing] if on_opened else [],
    )
    return AiohttpTransport(client=session)


def open_connections(transport: AiohttpTransport | None) -> int:
    """Count a pool's connections, in use and idle; aiohttp has no public count (3.14)."""
    connector = transport.client.connector if transport is not None else None
    if connector is None:
        return 0
    return len(connector._acquired) + sum(len(idle) for idle in connector._conns.values())
