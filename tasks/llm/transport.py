"""The HTTP way to one provider: httpx's types over aiohttp's connection pool, without a cap.

httpx's own pool is quadratic in kept connections, and aiohttp's connector keeps to 100 unless told
otherwise; here the gate limits, so the pool does not. Requests go straight to the transport: a
client's cookies, redirects and authentication flows are a third of a call's CPU time and unused.
What an answer means is `tasks.llm.answers`'s business.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx
from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from httpx_aiohttp import AiohttpTransport
from pydantic_core import PydanticSerializationError, to_json

from tasks.errors import BadReplyError

KEEPALIVE_S = 60.0
CONNECT_S = 10.0
LARGEST_REPLY_BYTES = 8 * 1024 * 1024


class Answer(NamedTuple):
    """An HTTP answer, read to its end and decompressed."""

    status_code: int
    headers: httpx.Headers
    content: bytes


class Wire:
    """Posts JSON to one provider, on one loop; close it on the loop that used it."""

    def __init__(self, base_url: str, *, headers: Mapping[str, str], timeout_s: float) -> None:
        self._base = httpx.URL(base_url.rstrip("/") + "/")
        self._headers = {
            "User-Agent": "castline",
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "Content-Type": "application/json",
            **headers,
        }
        timeout = httpx.Timeout(timeout_s, connect=CONNECT_S)
        self._extensions = {"timeout": timeout.as_dict()}
        self._addresses: dict[str, httpx.URL] = {}
        self._transport: AiohttpTransport | None = None

    def post(self, path: str, body: Any, *, key: str) -> httpx.Request:
        """Prepare a request, which may be sent more than once; `key` is its Idempotency-Key."""
        if path not in self._addresses:
            self._addresses[path] = self._base.join(path)
        return httpx.Request(
            "POST",
            self._addresses[path],
            headers={**self._headers, "Idempotency-Key": key},
            content=encoded(body),
            extensions=self._extensions,
        )

    async def send(self, request: httpx.Request) -> Answer:
        """Send a request and read its answer whole.

        An answer of more than 8 MiB, compressed or not, is not read on and its connection is
        closed. Raises httpx.HTTPError, BadReplyError for such an answer and for one that cannot be
        decompressed.
        """
        if self._transport is None:
            self._transport = open_transport()
        response: httpx.Response = await self._transport.handle_async_request(request)
        try:
            content = await read_whole(response)
        except httpx.DecodingError as error:
            raise BadReplyError(f"{request.url.host}: the answer cannot be decompressed") from error
        finally:
            await response.aclose()
        return Answer(response.status_code, response.headers, content)

    async def close(self) -> None:
        """Close the connections."""
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None


async def read_whole(response: httpx.Response) -> bytes:
    """Read an answer's body. Raises BadReplyError when it is larger than any reply can be."""
    packed = "content-encoding" in response.headers
    parts: list[bytes] = []
    size_bytes = 0
    async for part in response.aiter_bytes() if packed else response.aiter_raw():
        parts.append(part)
        size_bytes += len(part)
        if size_bytes > LARGEST_REPLY_BYTES:
            limit = LARGEST_REPLY_BYTES // 2**20
            raise BadReplyError(
                f"{response.request.url.host}: an answer of more than {limit} MiB is refused"
            )
    return b"".join(parts)


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
