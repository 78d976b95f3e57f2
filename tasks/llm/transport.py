"""The HTTP way to one provider: aiohttp's connection pool without a cap, and httpx's errors.

httpx's own pool is quadratic in kept connections, and aiohttp's connector keeps to 100 unless told
otherwise; here the gate limits, so the pool does not. Whole answers are asked of aiohttp directly,
streams through httpx's types, which are half as much CPU time again: both over one session. What an
answer means is `tasks.llm.answers`'s business.
"""

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from ssl import PROTOCOL_TLS_CLIENT, SSLContext
from typing import Any, NamedTuple, NoReturn

import aiohttp
import httpx
from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import map_aiohttp_exceptions
from pydantic_core import PydanticSerializationError, to_json
from yarl import URL

from tasks.errors import BadReplyError
from tasks.llm.content_coding import ACCEPTED, CodingError, unpacked

KEEPALIVE_S = 60.0
CONNECT_S = 10.0
LARGEST_REPLY_BYTES = 8 * 1024 * 1024
# A stream is read as it comes: compressed, it could not be bounded piece by piece.
STREAMED = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}


class Outgoing(NamedTuple):
    """A request that is ready to leave, more than once if need be."""

    path: str
    content: bytes
    key: str


class Answer(NamedTuple):
    """An HTTP answer, read to its end and decompressed; its headers are found in any case."""

    status_code: int
    headers: Mapping[str, str]
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
        self._host = self._base.host
        self._headers = {
            "User-Agent": "castline",
            "Accept": "application/json",
            "Accept-Encoding": ACCEPTED,
            "Content-Type": "application/json",
            **headers,
        }
        self._timeout_s = timeout_s
        self._addresses: dict[str, URL] = {}
        self._session: ClientSession | None = None
        self._transport: AiohttpTransport | None = None
        self._connector: CountingConnector | None = None
        self._requests = 0

    def post(self, path: str, body: Any, *, key: str) -> Outgoing:
        """Prepare a request, which may be sent more than once; `key` is its Idempotency-Key."""
        return Outgoing(path, encoded(body), key)

    async def send(self, outgoing: Outgoing) -> Answer:
        """Send a request and read its answer whole.

        An answer of more than 8 MiB, compressed or not, is not read on and its connection is
        closed. Raises httpx.HTTPError, BadReplyError for such an answer and for one that cannot be
        decompressed.
        """
        session, address = self._opened(), self._address(outgoing.path)
        self._requests += 1
        try:
            response = await session.post(
                address,
                data=outgoing.content,
                headers={"Idempotency-Key": outgoing.key},
                allow_redirects=False,
            )
            try:
                content = await read_whole(response.content.readany, host=self._host)
            finally:
                response.release()  # closes its connection unless it was read to its end
        except (aiohttp.ClientError, OSError) as error:
            raise_as_httpx(error)
        coding = response.headers.get("Content-Encoding")
        content = unpacked_reply(content, coding, host=self._host) if coding else content
        return Answer(response.status, response.headers, content)

    async def open(self, outgoing: Outgoing) -> httpx.Response:
        """Send a request whose answer is a stream; the caller reads and closes it.

        Raises httpx.HTTPError.
        """
        timeout = httpx.Timeout(self._timeout_s, connect=CONNECT_S)
        request = httpx.Request(
            "POST",
            str(self._address(outgoing.path)),
            headers={**self._headers, **STREAMED, "Idempotency-Key": outgoing.key},
            content=outgoing.content,
            extensions={"timeout": timeout.as_dict()},
        )
        session = self._opened()
        if self._transport is None:
            self._transport = transport_over(session)
        self._requests += 1
        try:
            response: httpx.Response = await self._transport.handle_async_request(request)
        except (aiohttp.ClientError, OSError) as error:  # what httpx-aiohttp does not know
            raise_as_httpx(error)
        return response

    async def warm_up(self) -> None:
        """Look the provider up and open a connection, which the first request finds ready.

        It sends a HEAD, no call; what goes wrong here, the first request will tell.
        """
        with contextlib.suppress(aiohttp.ClientError, OSError):
            async with self._opened().head(self._address(""), allow_redirects=False):
                pass

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = self._transport = None

    @property
    def pool(self) -> PoolCounts:
        """Count connections and requests so far."""
        pool = self._connector
        return PoolCounts(pool.open, pool.opened, self._requests) if pool else PoolCounts()

    def _opened(self) -> ClientSession:
        if self._session is None:
            self._connector = CountingConnector()
            timeout = ClientTimeout(
                connect=self._timeout_s, sock_connect=CONNECT_S, sock_read=self._timeout_s
            )
            self._session = open_session(self._connector, headers=self._headers, timeout=timeout)
        return self._session

    def _address(self, path: str) -> URL:
        if path not in self._addresses:
            self._addresses[path] = URL(str(self._base.join(path)))
        return self._addresses[path]


async def read_whole(read: Callable[[], Awaitable[bytes]], *, host: str) -> bytes:
    """Read a body until `read` gives nothing. Raises BadReplyError when no reply is so large."""
    parts: list[bytes] = []
    size_bytes = 0
    while part := await read():
        parts.append(part)
        size_bytes += len(part)
        if size_bytes > LARGEST_REPLY_BYTES:
            raise too_large(host)
    return b"".join(parts)


async def read_response(response: httpx.Response) -> Answer:
    """Read an answer that was opened as a stream. Raises what `Wire.send` raises."""
    host = response.request.url.host
    parts: AsyncIterator[bytes] = response.aiter_raw()

    async def read() -> bytes:
        return await anext(parts, b"")

    content = await read_whole(read, host=host)
    coding = response.headers.get("content-encoding", "")
    return Answer(
        response.status_code, response.headers, unpacked_reply(content, coding, host=host)
    )


def unpacked_reply(content: bytes, coding: str, *, host: str) -> bytes:
    """Unpack a body. Raises BadReplyError when it cannot be, or is larger than any reply."""
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


def raise_as_httpx(error: Exception) -> NoReturn:
    """Raise httpx's error for aiohttp's, which stays its cause."""
    try:
        with map_aiohttp_exceptions():
            raise error
    except (aiohttp.ClientError, OSError):  # none fits: the answer was no HTTP
        raise httpx.RemoteProtocolError(str(error)) from error


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


def open_session(
    connector: TCPConnector | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: ClientTimeout = ClientTimeout(total=None),  # noqa: B008 it is frozen
) -> ClientSession:
    """Open a pool of connections, on the loop that uses it."""
    return ClientSession(
        connector=connector or CountingConnector(),
        headers=headers,
        timeout=timeout,
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
    )


def transport_over(session: ClientSession) -> AiohttpTransport:
    """Give a session httpx's face."""
    # the session has a context of its own; without this one httpx reads all certificates again
    return AiohttpTransport(client=session, verify=SSLContext(PROTOCOL_TLS_CLIENT))
