"""The HTTP client: httpx's face over aiohttp's connection pool, without a cap of its own.

httpx's own pool is quadratic in kept connections, and aiohttp's connector keeps to 100 unless told
otherwise; here the gate limits, so the pool does not.
"""

from collections.abc import Mapping

import httpx
from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from httpx_aiohttp import AiohttpTransport

KEEPALIVE_S = 60.0


def open_client(
    base_url: str, *, headers: Mapping[str, str], timeout_s: float
) -> httpx.AsyncClient:
    """Open a client for one provider; must be called on the loop that uses it, closed with it."""
    session = ClientSession(
        connector=TCPConnector(limit=0, limit_per_host=0, keepalive_timeout=KEEPALIVE_S),
        timeout=ClientTimeout(total=None),
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
    )
    return httpx.AsyncClient(
        base_url=base_url.rstrip("/") + "/",
        headers={"User-Agent": "castline", **headers},
        transport=AiohttpTransport(client=session),
        timeout=httpx.Timeout(timeout_s, connect=10.0),
    )
