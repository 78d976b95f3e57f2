"""The client alone, on a real simulated provider: both faces, errors, limits and the end."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from tasks.errors import (
    AsyncOffError,
    BadInputError,
    BadReplyError,
    CastlineError,
    ClientClosedError,
    ConfigurationError,
    DeadlineError,
    FilteredReplyError,
    ProviderDownError,
    QueueFullError,
    RefusedCallError,
)
from tasks.llm.client import LLMClient
from tasks.llm.session import Session
from tasks.schemas.calls import Message
from tests.calls import simulated_server

pytestmark = [pytest.mark.usefixtures("no_settings")]
CONTEXT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi."},
    {"role": "user", "content": "Who are you?"},
]
LONG = "Tell me a long story"
CALLS = "/v1/chat/completions"


@pytest.fixture
def server() -> Iterator[str]:
    """Run a simulated provider."""
    with simulated_server() as base_url:
        yield base_url


@pytest.fixture
def hanging() -> Iterator[str]:
    """Run a simulated provider that never answers."""
    with simulated_server(faults="hang=1") as base_url:
        yield base_url


def client_at(base_url: str, **given: Any) -> LLMClient:
    """Open a client of a server."""
    return LLMClient(base_url=base_url, model="m", **given)


def until(client: LLMClient, found: Callable[[Any], bool]) -> None:
    """Wait until the client's status is so."""
    while not found(client.status()):
        threading.Event().wait(0.002)


def test_both_faces_say_the_same(server: str) -> None:
    with client_at(server) as client:
        said = client.chat("Hello", system_prompt="Be kind.")
        went_on = client.chat_with_context(CONTEXT)
        streamed = "".join(client.stream("Hello", system_prompt="Be kind."))

        async def ask() -> list[str]:
            stream = client.stream_async("Hello", system_prompt="Be kind.")
            return [
                await client.chat_async("Hello", system_prompt="Be kind."),
                await client.chat_with_context_async([Message(**m) for m in CONTEXT]),
                "".join([piece async for piece in stream]),
            ]

        assert asyncio.run(ask()) == [said, went_on, streamed]
        assert streamed == said


def test_one_client_serves_many_threads_and_many_loops_that_come_and_go(server: str) -> None:
    with client_at(server) as client, ThreadPoolExecutor(8) as threads:

        def in_a_loop(number: int) -> str:
            return asyncio.run(client.chat_async(f"Question {number}"))

        from_loops = list(threads.map(in_a_loop, range(16)))
        from_threads = list(threads.map(lambda n: client.chat(f"Question {n}"), range(16)))
        assert from_loops == from_threads
        assert client.status()["connections_opened"] <= 5


def test_the_sync_face_works_inside_of_a_running_loop(server: str) -> None:
    async def chat_without_await() -> str:
        return client.chat("Hello") + "".join(client.stream("Hello"))

    with client_at(server) as client:
        assert asyncio.run(chat_without_await()) == client.chat("Hello") * 2


def test_it_works_as_an_async_context_manager_and_is_closed_after_it(server: str) -> None:
    async def use() -> LLMClient:
        async with client_at(server) as client:
            await client.chat_async("Hello")
        with pytest.raises(RuntimeError, match="closed"):
            await client.chat_async("Hello")
        return client

    client = asyncio.run(use())
    with pytest.raises(ClientClosedError):
        client.chat("Hello")
    with pytest.raises(ClientClosedError):
        list(client.stream("Hello"))
    client.cleanup()


def test_closing_a_client_that_never_called_opens_nothing(server: str) -> None:
    before = threading.active_count()
    client = client_at(server)
    client.close()
    assert threading.active_count() == before


def test_closing_lets_the_calls_that_are_under_way_end() -> None:
    with simulated_server(latency_s=0.2) as base_url, ThreadPoolExecutor(1) as threads:
        client = client_at(base_url)
        call = threads.submit(client.chat, "Hello")
        until(client, lambda status: status["in_flight"] == 1)
        client.close()
        assert call.result()


def test_calls_that_no_one_waits_for_at_the_end_of_a_program_fail_as_closed(hanging: str) -> None:
    client = client_at(hanging)
    with ThreadPoolExecutor(3) as threads:
        calls = [
            threads.submit(client.chat, "Hello"),
            threads.submit(lambda: asyncio.run(client.chat_async("Hello"))),
            threads.submit(lambda: list(client.stream("Hello"))),
        ]
        until(client, lambda status: status["in_flight"] == 3)
        client._bridge.abandon()
        for call in calls:
            assert isinstance(call.exception(), ClientClosedError)


def test_a_stream_that_is_left_ends_its_call() -> None:
    with simulated_server(tokens_per_s=20) as base_url, client_at(base_url) as client:
        for _ in client.stream(LONG):
            break
        until(client, lambda status: status["in_flight"] == 0)

        async def leave() -> None:
            stream = client.stream_async(LONG)
            await anext(stream)
            await stream.aclose()

        asyncio.run(leave())
        until(client, lambda status: status["in_flight"] == 0)
        assert client.status()["calls_failed"] == 0


def test_a_stream_that_breaks_off_fails_after_its_pieces() -> None:
    with simulated_server(faults="drop=1", seed=2) as base_url, client_at(base_url) as client:
        heard: list[str] = []

        def read() -> None:
            heard.extend(client.stream(LONG))

        async def read_async() -> None:
            [piece async for piece in client.stream_async(LONG)]

        with pytest.raises(ProviderDownError):
            read()
        with pytest.raises(ProviderDownError):
            asyncio.run(read_async())
        assert client.status()["calls_failed"] == 2


def test_cancelling_a_call_gives_its_place_back(hanging: str) -> None:
    async def cancel(client: LLMClient) -> None:
        call = asyncio.create_task(client.chat_async("Hello"))
        await asyncio.to_thread(until, client, lambda status: status["in_flight"] == 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.to_thread(until, client, lambda status: status["in_flight"] == 0)

    with client_at(hanging) as client:
        asyncio.run(cancel(client))


def test_the_timeout_is_a_calls_whole_time(hanging: str) -> None:
    with client_at(hanging, timeout_s=0.1) as client, pytest.raises(DeadlineError, match="once"):
        client.chat("Hello")


def test_calls_beyond_the_queue_are_refused_and_waiting_counts_towards_the_timeout(
    hanging: str,
) -> None:
    async def ask(client: LLMClient) -> list[Any]:
        calls = [client.chat_async("Hello") for _ in range(4)]
        return await asyncio.gather(*calls, return_exceptions=True)

    async def take_a_place(session: Session) -> None:
        await session._admission.enter()

    with client_at(hanging, workers=1, queue_size=3, timeout_s=0.3) as client:
        client._bridge.wait(take_a_place)
        errors = asyncio.run(ask(client))
    assert [type(error) for error in errors] == [DeadlineError] * 3 + [QueueFullError]
    assert [error.attempts for error in errors[:3]] == [0, 0, 0]
    assert "LLM_ASYNC_QUEUE_SIZE" in errors[3].hint


def test_never_more_calls_are_under_way_than_there_are_workers() -> None:
    with simulated_server(latency_s=0.02) as base_url, client_at(base_url, workers=3) as client:
        client.batch([f"Question {n}" for n in range(12)])
        stats = httpx.get(base_url.removesuffix("/v1") + "/stats").json()
        assert stats["max_in_flight"] == 3


@pytest.mark.parametrize(
    ("ask", "named"),
    [
        (lambda c: c.chat(""), "prompt"),
        (lambda c: c.chat(None), "prompt"),
        (lambda c: c.chat("x", temperature=2.1), "temperature"),
        (lambda c: c.chat("x", temperature=-0.1), "temperature"),
        (lambda c: c.chat("x", temperature=float("nan")), "temperature"),
        (lambda c: c.chat("x", temperature="hot"), "temperature"),
        (lambda c: c.chat("x", max_tokens=0), "max_tokens"),
        (lambda c: c.chat("x", max_tokens=1.5), "max_tokens"),
        (lambda c: c.chat("x", system_prompt=7), "system_prompt"),
        (lambda c: c.chat_with_context([]), "messages"),
        (lambda c: c.chat_with_context("secret"), "messages"),
        (lambda c: c.chat_with_context(["secret"]), r"messages\[0\]"),
        (lambda c: c.chat_with_context([*CONTEXT, {"content": "secret"}]), r"messages\[4\]\.role"),
        (
            lambda c: c.chat_with_context([{"role": "wizard", "content": "secret"}]),
            r"messages\[0\]\.role",
        ),
        (lambda c: c.chat_with_context([{"role": "user", "content": 5}]), r"\.content"),
        (
            lambda c: c.chat_with_context([{"role": "user", "content": "x", "colour": "secret"}]),
            r"messages\[0\]",
        ),
        (lambda c: c.stream(""), "prompt"),
        (lambda c: asyncio.run(c.chat_async("")), "prompt"),
        (lambda c: c.stream_async([]), "messages"),
    ],
)
def test_a_bad_argument_is_named_and_nothing_is_opened(
    ask: Callable[[LLMClient], Any], named: str
) -> None:
    client = client_at("http://127.0.0.1:9/v1")
    with pytest.raises(BadInputError, match=named) as caught:
        ask(client)
    assert "secret" not in f"{caught.value}"
    assert client._bridge._session is None


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.chat_async("Hello"),
        lambda client: client.chat_with_context_async(CONTEXT),
        lambda client: anext(client.stream_async("Hello")),
        lambda client: client.batch_async(["Hello"]),
        lambda client: client.ask_small_async("Hello"),
        lambda client: client.warm_up_async(),
    ],
    ids=["chat", "context", "stream", "batch", "small", "warm_up"],
)
def test_every_async_function_can_be_switched_off(
    server: str, monkeypatch: pytest.MonkeyPatch, ask: Callable[[LLMClient], Awaitable[object]]
) -> None:
    monkeypatch.setenv("LLM_ASYNC_ENABLED", "false")

    async def use(client: LLMClient) -> None:
        await ask(client)

    with client_at(server) as client:
        with pytest.raises(AsyncOffError, match="LLM_ASYNC_ENABLED") as caught:
            asyncio.run(use(client))
        assert isinstance(caught.value, RuntimeError)
        assert client.chat("Hello")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LLM_ASYNC_WORKERS", "0"),
        ("LLM_ASYNC_WORKERS", "many"),
        ("LLM_ASYNC_QUEUE_SIZE", "-1"),
        ("LLM_ASYNC_TIMEOUT", "0"),
        ("LLM_ASYNC_TIMEOUT", "inf"),
        ("LLM_ASYNC_ENABLED", "perhaps"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        client_at("http://127.0.0.1:9/v1")


def test_what_is_given_goes_before_the_environment(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASTLINE_LLM_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("CASTLINE_LLM_MODEL", "other")
    monkeypatch.setenv("LLM_ASYNC_WORKERS", "many")
    with client_at(server, workers=2) as client:
        assert client.provider.model == "m"
        assert client.chat("Hello")


def test_without_arguments_the_settings_say_where(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match="no model provider"):
        LLMClient()
    monkeypatch.setenv("CASTLINE_LLM_BASE_URL", server)
    monkeypatch.setenv("CASTLINE_LLM_MODEL", "m")
    with LLMClient() as client:
        assert client.chat("Hello")


def test_a_provider_of_the_settings_may_be_changed_in_parts(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = '{"base_url": "https://api.example.com/v1", "model": "theirs", "slots": 3}'
    monkeypatch.setenv("CASTLINE_PROVIDERS__MINE", table)
    client = LLMClient(provider="mine", api_key="sk-secret", model="ours")
    assert (client.provider.model, client.provider.limits.slots) == ("ours", 3)
    assert client.provider.base_url == "https://api.example.com/v1"
    assert "secret" not in f"{client!r} {client.__dict__}"
    with pytest.raises(ConfigurationError, match="unknown"):
        LLMClient(provider="unknown")


def test_a_refused_key_is_one_call_and_its_error_never_holds_the_key() -> None:
    with simulated_server(api_key="right") as base_url:
        with client_at(base_url, api_key="sk-wrong") as client:
            with pytest.raises(RefusedCallError) as caught:
                client.chat("Hello")
            assert "sk-wrong" not in f"{caught.value} {caught.value.hint}"
            assert client.status()["requests"] == 1
        with client_at(base_url, api_key="right") as client:
            assert client.chat("Hello")


@pytest.mark.parametrize(
    ("text", "finish_reason", "error"),
    [
        ("", "stop", BadReplyError),
        ("", "content_filter", FilteredReplyError),
        ("Once upon", "content_filter", FilteredReplyError),
    ],
)
def test_an_empty_or_filtered_reply_is_an_error_whole_or_streamed(
    httpserver: HTTPServer, text: str, finish_reason: str, error: type[CastlineError]
) -> None:
    whole = {"message": {"content": text}, "finish_reason": finish_reason}
    piece = {"delta": {"content": text}, "finish_reason": finish_reason}
    stream = f"data: {json.dumps({'choices': [piece]})}\n\ndata: [DONE]\n\n"
    httpserver.expect_ordered_request(CALLS).respond_with_json({"choices": [whole]})
    answer = Response(stream, content_type="text/event-stream")
    httpserver.expect_ordered_request(CALLS).respond_with_response(answer)
    with client_at(httpserver.url_for("/v1")) as client:
        with pytest.raises(error) as caught:
            client.chat("Hello")
        assert type(caught.value) is error
        heard: list[str] = []
        with pytest.raises(error):
            heard.extend(client.stream("Hello"))
        assert client.status()["calls_failed"] == 2


def test_a_reply_that_was_cut_at_its_limit_is_a_text(httpserver: HTTPServer) -> None:
    whole = {"message": {"content": "Once upon"}, "finish_reason": "length"}
    httpserver.expect_request(CALLS).respond_with_json({"choices": [whole]})
    with client_at(httpserver.url_for("/v1")) as client:
        assert client.chat("Hello") == "Once upon"


def test_the_status_counts_calls_and_connections(server: str) -> None:
    with client_at(server) as client:
        for number in range(4):
            client.chat(f"Question {number}")
        list(client.stream("Hello"))
        status = client.status()
    assert status["gate"] == "in-memory"
    assert (status["calls_made"], status["requests"]) == (5, 5)
    assert (status["connections_open"], status["connections_opened"]) == (1, 1)
    assert status["reuse_ratio"] == 5
    assert status["completion_tokens"] > 0


def test_a_client_that_is_warm_calls_over_the_connection_that_it_has(server: str) -> None:
    with client_at(server) as client:
        client.warm_up()
        assert (client.status()["connections_open"], client.status()["requests"]) == (1, 0)
        client.chat("Hello")
        assert (client.status()["connections_opened"], client.status()["calls_made"]) == (1, 1)


def test_warming_up_for_a_provider_that_is_away_fails_nothing() -> None:
    with client_at("http://127.0.0.1:9/v1") as client:
        asyncio.run(client.warm_up_async())
        assert client.status()["connections_open"] == 0


def test_a_thousand_calls_at_a_hundred_in_flight_open_at_most_a_hundred_connections() -> None:
    with simulated_server(latency_s=0.01) as base_url:
        client = client_at(base_url, workers=100)
        with client:
            prompts = (f"Question {number}" for number in range(1000))
            answers = client.batch(prompts, max_in_flight=100, max_tokens=8)
            assert all(isinstance(answer, str) for answer in answers)
            assert client.status()["connections_opened"] <= 100
        stats = httpx.get(base_url.removesuffix("/v1") + "/stats").json()
    assert stats["connections"] <= 101


def test_who_asks_the_same_shares_a_call_only_when_that_is_wanted(server: str) -> None:
    async def ask(client: LLMClient) -> list[str]:
        calls = [client.chat_async("Hello") for _ in range(50)]
        calls += [client.chat_async("Hello", temperature=0.5)]
        return await asyncio.gather(*calls)

    with client_at(server, cache=True) as client:
        assert len(set(asyncio.run(ask(client))[:50])) == 1
        assert client.chat("Hello")
        assert (client.status()["requests"], client.status()["cached"]) == (2, 50)
    with client_at(server) as client:
        asyncio.run(ask(client))
        assert client.status()["requests"] == 51


def test_who_waits_for_anothers_call_has_a_deadline_of_its_own(hanging: str) -> None:
    async def ask(client: LLMClient) -> list[Any]:
        calls = [client.chat_async("Hello") for _ in range(3)]
        return await asyncio.gather(*calls, return_exceptions=True)

    with client_at(hanging, cache=True, timeout_s=0.2) as client:
        errors = asyncio.run(ask(client))
        assert [type(error) for error in errors] == [DeadlineError] * 3
        assert {error.attempts for error in errors} == {1}
        until(client, lambda status: status["in_flight"] == 0)
        assert client.status()["requests"] == 1
