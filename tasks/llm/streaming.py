"""A reply that is read while it is written: server-sent events from the wire to text pieces.

What an event means is the dialect's business, slots and attempts are the completer's.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import httpx

from tasks.errors import BadReplyError, CastlineError, ProviderDownError
from tasks.llm.answers import error_of, network_error
from tasks.llm.deadline import Deadline
from tasks.llm.dialect import Dialect
from tasks.llm.transport import LARGEST_REPLY_BYTES, Outgoing, Wire, read_response
from tasks.schemas.completion import Completion, StreamEvent
from tasks.schemas.limits import Granted

READ_OUT_S = 0.2


@dataclass
class EventReader:
    """Cuts bytes into the data of server-sent events (HTML standard, section 9.2, read 2026-11)."""

    _rest: bytes = b""
    _data: list[str] = field(default_factory=list)

    def feed(self, received: bytes) -> Iterator[str]:
        """Give the data of each event that is complete now."""
        lines = (self._rest + received).splitlines(keepends=True)
        self._rest = b""
        for at, line in enumerate(lines):
            # a lone CR may be half of a CRLF that is still to come
            if at == len(lines) - 1 and not line.endswith(b"\n"):
                self._rest = line
                return
            text = line.rstrip(b"\r\n").decode("utf-8", "replace")
            if text.startswith("data:"):
                self._data.append(text.removeprefix("data:").removeprefix(" "))
            elif not text and self._data:
                data, self._data = "\n".join(self._data), []
                yield data


@dataclass
class StreamedReply:
    """A reply whose first piece is there; its slot is held until somebody settles it."""

    response: httpx.Response
    granted: Granted
    events: AsyncIterator[StreamEvent]
    waiting: list[StreamEvent]
    completion: Completion
    error: CastlineError | None = None

    async def next(self, deadline: Deadline) -> StreamEvent | None:
        """Give the next event, None after the last.

        Raises ProviderDownError when the reply breaks off, BadReplyError for what is no event,
        DeadlineError when the time is over.
        """
        if self.waiting:
            return self.waiting.pop(0)
        async with deadline.enforced():
            event = await anext(self.events, None)
        if event is not None:
            self.note(event)
        return event

    def note(self, event: StreamEvent) -> None:
        """Put an event into what is known of the reply."""
        known = event.model_dump(include={"finish_reason", "model"})
        known |= event.model_dump(include={"prompt_tokens", "completion_tokens"})
        update = {name: value for name, value in known.items() if value}
        if update:
            self.completion = self.completion.model_copy(update=update)

    @property
    def used_tokens(self) -> int | None:
        """The tokens that the provider counted, None when it did not come to that."""
        return self.completion.prompt_tokens + self.completion.completion_tokens or None


async def open_stream(
    wire: Wire,
    request: Outgoing,
    dialect: Dialect,
    *,
    asked_model: str,
    provider: str,
    key_setting: str,
    granted: Granted,
) -> StreamedReply:
    """Send a request and read up to its first piece of text.

    Raises what a call that is not streamed raises; then nothing is left open.
    """
    try:
        response = await wire.open(request)
    except httpx.HTTPError as error:
        raise network_error(error, provider=provider) from error
    reply = StreamedReply(
        response=response,
        granted=granted,
        events=events_of(response, dialect, provider=provider),
        waiting=[],
        completion=Completion(
            text="", finish_reason="", model=asked_model, prompt_tokens=0, completion_tokens=0
        ),
    )
    try:
        if response.status_code != httpx.codes.OK:
            answer = await read_response(response)
            raise error_of(answer, provider=provider, model=asked_model, key_setting=key_setting)
        check_kind(response, provider=provider)
        async for event in reply.events:
            reply.note(event)
            reply.waiting.append(event)
            if event.text:
                break
    except BaseException:
        await response.aclose()
        raise
    return reply


def check_kind(response: httpx.Response, *, provider: str) -> None:
    """Raise BadReplyError for an answer that is no stream."""
    kind = response.headers.get("content-type", "no content type")
    if not kind.startswith("text/event-stream"):
        raise BadReplyError(f"{provider}: the answer is no event stream ({kind})")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise BadReplyError(f"{provider}: the stream is compressed, which was not asked for")


async def events_of(
    response: httpx.Response, dialect: Dialect, *, provider: str
) -> AsyncIterator[StreamEvent]:
    """Read events until the last one.

    Raises ProviderDownError when the stream breaks off before it, BadReplyError when it is too long
    or holds something else.
    """
    reader, size, finished = EventReader(), 0, False
    received_parts = response.aiter_raw()
    try:
        async for received in received_parts:
            size += len(received)
            if size > LARGEST_REPLY_BYTES:
                raise BadReplyError(f"{provider}: a reply of more than {size} bytes is refused")
            for data in reader.feed(received):
                event = dialect.stream_event(data)
                finished = finished or bool(event.finish_reason)
                yield event
                if event.last:
                    await read_out(received_parts)
                    return
    except httpx.HTTPError as error:
        raise network_error(error, provider=provider) from error
    if not finished:
        raise ProviderDownError(f"{provider}: the reply broke off")


async def read_out(parts: AsyncIterator[bytes]) -> None:
    """Read what follows the last event, the body's end as a rule: then its connection is kept."""
    with contextlib.suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(READ_OUT_S):
            async for _ in parts:
                pass
