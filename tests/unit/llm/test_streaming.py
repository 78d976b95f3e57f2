"""Replies that are read while they are written, from real servers."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tasks.errors import BadReplyError, DeadlineError, ProviderDownError, RefusedCallError
from tasks.llm.deadline import Deadline
from tasks.llm.scope import CallTally
from tasks.llm.streaming import EventReader
from tests.calls import Caller, caller_of, provider_at, simulated

PATH = "/v1/chat/completions"


async def text_of(caller: Caller, text: str = "Hi", **scope: Any) -> str:
    """Read a stream to its end."""
    return "".join([event.text async for event in caller.stream(text, **scope)])


async def read_into(heard: list[str], caller: Caller) -> None:
    """Read a stream piece by piece."""
    async for event in caller.stream():
        heard.append(event.text)


def events(*pieces: str) -> bytes:
    """What a provider sends for these pieces, without an end."""
    chunks = [{"choices": [{"delta": {"content": piece}}]} for piece in pieces]
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)


def sent(*parts: bytes) -> Response:
    """A stream of these bytes."""
    return Response(iter(parts), content_type="text/event-stream; charset=utf-8")


@pytest.mark.anyio
async def test_a_stream_says_what_the_whole_reply_says_and_its_tokens_are_counted() -> None:
    async with simulated() as caller:
        tally = CallTally()
        pieces = [event.text async for event in caller.stream("Hi", tally=tally) if event.text]
        assert len(pieces) > 1
        assert "".join(pieces) == await caller.complete("Hi")
        assert tally.usage.completion_tokens > 0
        assert tally.usage.made == 1
        assert await caller.slots_in_use() == 0


@pytest.mark.anyio
async def test_the_slot_is_held_while_the_stream_runs_and_returns_when_the_reader_stops() -> None:
    async with simulated(tokens_per_s=20) as caller:
        stream = caller.stream("Tell me a long story")
        await anext(stream)
        assert await caller.slots_in_use() == 1
        await stream.aclose()
        assert await caller.slots_in_use() == 0


@pytest.mark.anyio
async def test_a_stream_that_is_cut_fails_after_the_pieces_and_is_not_tried_again(
    httpserver: HTTPServer,
) -> None:
    httpserver.expect_request(PATH).respond_with_response(sent(events("one ", "two ")))
    async with caller_of(provider_at(httpserver.url_for("/v1"))) as caller:
        heard: list[str] = []
        with pytest.raises(ProviderDownError, match="broke off"):
            await read_into(heard, caller)
        assert heard == ["one ", "two "]
        assert len(httpserver.log) == 1
        assert caller.completer.failures == {"network": 1}
        assert await caller.slots_in_use() == 0


@pytest.mark.anyio
async def test_a_dropped_connection_in_a_stream_is_the_providers_fault() -> None:
    async with simulated(faults="drop=1") as caller:
        with pytest.raises(ProviderDownError):
            await text_of(caller)
        assert await caller.slots_in_use() == 0


@pytest.mark.anyio
async def test_a_stream_that_fails_before_its_first_piece_is_tried_again(
    httpserver: HTTPServer,
) -> None:
    httpserver.expect_ordered_request(PATH).respond_with_data(status=503)
    httpserver.expect_ordered_request(PATH).respond_with_response(sent(b": hello\n\n"))
    whole = sent(events("all ", "of it"), b"data: [DONE]\n\n")
    httpserver.expect_ordered_request(PATH).respond_with_response(whole)
    async with caller_of(provider_at(httpserver.url_for("/v1"))) as caller:
        assert await text_of(caller) == "all of it"
    keys = {request.headers["Idempotency-Key"] for request, _ in httpserver.log}
    assert (len(httpserver.log), len(keys)) == (3, 1)


@pytest.mark.anyio
async def test_a_stream_that_stalls_ends_at_the_deadline() -> None:
    async with simulated(tokens_per_s=1) as caller:
        with pytest.raises(DeadlineError):
            await text_of(caller, "Tell me a story", deadline=Deadline(0.3))
        assert await caller.slots_in_use() == 0


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("response", "error"),
    [
        (Response("<html>no</html>", content_type="text/html"), BadReplyError),
        (Response("{}", content_type="application/json"), BadReplyError),
        (Response(status=401), RefusedCallError),
        (sent(b"data: [1, 2\n\n"), BadReplyError),
        (sent(b"data: [1, 2]\n\n"), BadReplyError),
        (sent(events("x"), b'data: {"error": {"message": "secret"}}\n\n'), ProviderDownError),
    ],
)
async def test_what_is_no_stream_is_an_error_that_quotes_nothing(
    httpserver: HTTPServer, response: Response, error: type[Exception]
) -> None:
    httpserver.expect_request(PATH).respond_with_response(response)
    async with caller_of(provider_at(httpserver.url_for("/v1"))) as caller:
        with pytest.raises(error) as caught:
            await text_of(caller)
        assert "secret" not in str(caught.value)
        assert await caller.slots_in_use() == 0


@pytest.mark.anyio
async def test_a_stream_without_an_end_is_refused(httpserver: HTTPServer) -> None:
    def endless(_: Request) -> Response:
        def pieces() -> Iterator[bytes]:
            while True:
                yield events("x" * 65536)

        return Response(pieces(), content_type="text/event-stream")

    httpserver.expect_request(PATH).respond_with_handler(endless)
    async with caller_of(provider_at(httpserver.url_for("/v1"))) as caller:
        with pytest.raises(BadReplyError, match="refused"):
            await text_of(caller)


@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]))),
    st.sampled_from(["\n", "\r\n"]),
    st.lists(st.integers(min_value=1, max_value=9)),
)
def test_events_are_the_same_however_the_bytes_are_cut(
    said: list[str], end: str, cuts: list[int]
) -> None:
    whole = "".join(f"event: x{end}: note{end}data: {text}{end}{end}" for text in said).encode()
    reader, heard, at = EventReader(), [], 0
    for cut in [*cuts, len(whole)]:
        heard += list(reader.feed(whole[at : at + cut]))
        at += cut
    assert heard == said


def test_lines_of_one_event_belong_together() -> None:
    assert list(EventReader().feed(b"data: a\ndata: b\n\n\n\ndata:c\n\n")) == ["a\nb", "c"]


@pytest.mark.anyio
async def test_a_stream_that_is_compressed_unasked_is_refused_unread(
    httpserver: HTTPServer,
) -> None:
    answer = sent(gzip.compress(events("Hi")))
    answer.headers["Content-Encoding"] = "gzip"
    httpserver.expect_request(PATH).respond_with_response(answer)
    async with caller_of(provider_at(httpserver.url_for("/v1"))) as caller:
        with pytest.raises(BadReplyError, match="compressed"):
            await text_of(caller)
    request, _ = httpserver.log[0]
    assert request.headers["Accept-Encoding"] == "identity"
