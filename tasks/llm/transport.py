"""The HTTP way to one provider: httpx's types over aiohttp's connection pool, without a cap.

httpx's own pool is quadratic in kept connections, and aiohttp's connector keeps to 100 unless told
otherwise; here the gate limits, so the pool does not. Requests go straight to the transport: a
client's cookies, redirects and authentication flows are a third of a call's CPU time and unused.
What an answer means is `tasks.llm.answers`'s business.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from ssl import PROTOCOL_TLS_CLIENT, SSLContext
from typing import Any, NamedTuple

import httpx
from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from httpx_aiohttp import AiohttpTransport
from pydantic_core import PydanticSerializationError, to_json

from tasks.errors import BadReplyError
from tasks.llm.content_coding import ACCEPTED, CodingError, unpacked

KEEPALIVE_S = 60.0
CONNECT_S = 10.0
LARGEST_REPLY_BYTES = 8 * 1024 * 1024


class Answer(NamedTuple):
    """An HTTP answer, read to its end and decompressed."""

    status_code: int
    headers: httpx.Headers
    content: bytes


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
            "Accept-Encoding": ACCEPTED,
            "Content-Type": "application/json",
            **headers,
        }
        timeout = httpx.Timeout(timeout_s, connect=CONNECT_S)
        self._extensions = {"timeout": timeout.as_dict()}
        self._addresses: dict[str, httpx.URL] = {}
        self._transport: AiohttpTransport | None = None
        self._connector: CountingConnector | None = None
        self._requests = 0

    def post(self, path: str, body: Any, *, key: str, stream: bool = False) -> httpx.Request:
        """Prepare a request, which may be sent more than once; `key` is its Idempotency-Key."""
        # A stream is read as it comes: compressed, it could not be bounded piece by piece.
        accept = {"Accept": "text/event-stream", "Accept-Encoding": "identity"} if stream else {}
        if path not in self._addresses:
            self._addresses[path] = self._base.join(path)
        return httpx.Request(
            "POST",
            self._addresses[path],
            headers={**self._headers, **accept, "Idempotency-Key": key},
            content=encoded(body),
            extensions=self._extensions,
        )

    async def send(self, request: httpx.Request) -> Answer:
        """Send a request and read its answer whole.

        An answer of more than 8 MiB, compressed or not, is not read on and its connection is
        closed. Raises httpx.HTTPError, BadReplyError for such an answer and for one that cannot be
        decompressed.
        """
        response = await self.open(request)
        try:
            content = await read_whole(response)
        finally:
            await response.aclose()
        return Answer(response.status_code, response.headers, content)

    async def open(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the caller reads its answer and closes it. Raises httpx.HTTPError."""
        if self._transport is None:
            self._connector = CountingConnector()
            self._transport = open_transport(self._connector)
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
        pool = self._connector
        return PoolCounts(pool.open, pool.opened, self._requests) if pool else PoolCounts()


async def read_whole(response: httpx.Response) -> bytes:
    """Read an answer's body and unpack it.

    Raises BadReplyError when it is larger than any reply can be, or cannot be decompressed.
    """
    host = response.request.url.host
    parts: list[bytes] = []
    size_bytes = 0
    async for part in response.aiter_raw():
        parts.append(part)
        size_bytes += len(part)
        if size_bytes > LARGEST_REPLY_BYTES:
            raise too_large(host)
    content = b"".join(parts)
    coding = response.headers.get("content-encoding")
    if not coding:
        return content
    try:
        content = unpacked(content, coding, most_bytes=LARGEST_REPLY_BYTES)
    except CodingError as error:
        raise BadReplyError(f"{host}: the answer cannot be decompressed: {error}") from error
    if len(content) > LARGEST_REPLY_BYTES:
        raise too_large(host)
    return content


def too_large(host: str) -> BadReplyError:
    """Say that an answer was not read to its end."""
    limit = LARGEST_REPLY_BYTES // 2**20
    return BadReplyError(f"{host}: an answer of more than {limit} MiB is refused")


def encoded(body: Any) -> bytes:
    """Encode JSON; lone surrogates, which models write now and then, go as escapes."""
    try:
        return to_json(body)
    except PydanticSerializationError:
        return json.dumps(body).encode()


class CountingConnector(TCPConnector):
    """A pool without a cap that knows how many connections it opened and has open.

    aiohttp (3.14) has no public count, and its tracing costs every request a tenth of its CPU time.
    """

    def __init__(self) -> None:
        super().__init__(limit=0, limit_per_host=0, keepalive_timeout=KEEPALIVE_S)
        self.opened = 0

    @property
    def open(self) -> int:
        """Count the connections in use and the idle ones."""
        return len(self._acquired) + sum(len(idle) for idle in self._conns.values())

    async def _create_connection(self, *arguments: Any, **named: Any) -> Any:
        connection = await super()._create_connection(*arguments, **named)
        self.opened += 1
        return connection


def open_transport(connector: TCPConnector | None = None) -> AiohttpTransport:
    """Open a pool of connections, on the loop that uses it."""
    session = ClientSession(
        connector=connector or CountingConnector(),
        timeout=ClientTimeout(total=None),
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
    )
    # the session has a context of its own; without this one httpx reads all certificates again
    return AiohttpTransport(client=session, verify=SSLContext(PROTOCOL_TLS_CLIENT))
