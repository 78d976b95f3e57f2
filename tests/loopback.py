"""A server on loopback that answers every request with the same bytes, well-formed or not."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

GOOD_REPLY = {
    "choices": [{"message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "model": "m-1",
    "usage": {"prompt_tokens": 3, "completion_tokens": 2},
}


@dataclass
class Loopback:
    """What the server says, and what it has seen; `bodies` are the requests' JSON bodies."""

    answer: Callable[[], Iterable[bytes]]
    url: str = ""
    bodies: list[Any] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    sent_bytes: int = 0
    cut_off: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close the connection."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                int(line.split(":")[1])
                for line in head.splitlines()
                if line.lower().startswith("content-length")
            )
            self.heads.append(head)
            self.bodies.append(json.loads(await reader.readexactly(length)))
            for part in self.answer():
                writer.write(part)
                await writer.drain()
                self.sent_bytes += len(part)
        except ConnectionError:
            self.cut_off.set()
        finally:
            writer.close()


def http(
    body: bytes, *, status: str = "200 OK", kind: str = "application/json", **headers: str
) -> Callable[[], Iterable[bytes]]:
    """Build a whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = "\r\n".join([*lines, "Connection: close", "", ""]).encode()
    return lambda: [head + body]


def reply(**changes: Any) -> Callable[[], Iterable[bytes]]:
    """Build a good answer, with changes."""
    return http(json.dumps({**GOOD_REPLY, **changes}).encode())


@contextlib.asynccontextmanager
async def loopback(answer: Callable[[], Iterable[bytes]]) -> AsyncIterator[Loopback]:
    """Serve while the context is open."""
    seen = Loopback(answer)
    server = await asyncio.start_server(seen.serve, "127.0.0.1", 0)
    seen.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield seen
    finally:
        server.close()
        await server.wait_closed()
