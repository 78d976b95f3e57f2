"""What a provider's bad answers become, over real HTTP on loopback, through gate and retries."""

import gzip
import json
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from tasks.errors import BadReplyError, CastlineError, ProviderDownError, RefusedCallError
from tasks.llm.providers import Fallback
from tasks.llm.transport import LARGEST_REPLY_BYTES
from tests.caller import calling, provider_at
from tests.castline import free_port
from tests.loopback import GOOD_REPLY, Loopback, http, loopback, reply

pytestmark = pytest.mark.anyio

Answering = Callable[[], Iterable[bytes]]
GOOD = json.dumps(GOOD_REPLY).encode()


async def failed_with(answer: Answering) -> tuple[CastlineError, Loopback]:
    """Call a provider that answers so."""
    async with loopback(answer) as server, calling(provider_at(server.url)) as caller:
        return await caller.failure(), server


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b"<!doctype html><title>Sign in</title>", "text/html", "web page"),
        (b" <html>", "application/json", "web page"),
        (b"", "application/json", "empty"),
        (GOOD[: len(GOOD) // 2], "application/json", "breaks off"),
        (b'{"error": {"message": "secret words"}}', "application/json", "error object"),
        (b"[]", "application/json", "not a chat completion"),
        (b'{"choices": []}', "application/json", "not a chat completion"),
        (b"hello", "text/plain", "not JSON (text/plain)"),
        (b"[" * 100_000, "application/json", "breaks off"),
        ("{'é'}".encode("latin-1"), "application/json; charset=latin-1", "damaged"),
    ],
)
async def test_an_answer_that_cannot_be_read_is_a_bad_reply_and_is_asked_once(
    body: bytes, kind: str, words: str
) -> None:
    error, server = await failed_with(http(body, kind=kind))
    assert isinstance(error, BadReplyError)
    assert words in str(error)
    assert "secret" not in str(error)
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    "answer",
    [
        http(GOOD, kind="text/html"),
        http(GOOD, kind="application/json; charset=gbk"),
        http(json.dumps(GOOD_REPLY).encode("utf-16"), kind="application/json; charset=utf-16"),
        http(gzip.compress(GOOD), Content_Encoding="gzip"),
    ],
    ids=["html content type", "wrong charset", "utf-16", "gzip"],
)
async def test_a_good_answer_is_read_whatever_its_headers_claim(answer: Answering) -> None:
    async with loopback(answer) as server, calling(provider_at(server.url)) as caller:
        assert (await caller.call()).text == "hello"


async def test_damaged_gzip_is_a_bad_reply() -> None:
    error, _ = await failed_with(http(b"no gzip", Content_Encoding="gzip"))
    assert isinstance(error, BadReplyError)
    assert "decompressed" in str(error)


def hundred_megabytes() -> Iterable[bytes]:
    """Answer for ever so long."""
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n"
    for _ in range(100):
        yield b" " * 2**20


async def test_a_hundred_megabytes_are_refused_without_being_read_and_the_connection_closed() -> (
    None
):
    async with (
        loopback(hundred_megabytes) as server,
        calling(provider_at(server.url)) as caller,
    ):
        error = await caller.failure()
        assert isinstance(error, BadReplyError)
        assert "8 MiB" in str(error)
        await server.cut_off.wait()
        assert server.sent_bytes < 4 * LARGEST_REPLY_BYTES  # the sockets' buffers, no more


async def test_a_small_answer_that_unpacks_to_a_hundred_megabytes_is_refused() -> None:
    bomb = gzip.compress(b" " * 100 * 2**20)
    error, _ = await failed_with(http(bomb, Content_Encoding="gzip"))
    assert isinstance(error, BadReplyError)
    assert "8 MiB" in str(error)


def cut_in_the_middle() -> Iterable[bytes]:
    """Promise more than there is."""
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n"
    yield GOOD[:50]


@pytest.mark.parametrize("answer", [cut_in_the_middle, lambda: []], ids=["cut", "no answer"])
async def test_a_cut_connection_is_an_outage_of_a_request_that_was_sent(answer: Answering) -> None:
    error, server = await failed_with(answer)
    assert isinstance(error, ProviderDownError)
    assert error.sent
    assert len(server.bodies) > 1


async def test_a_refused_connection_is_an_outage_of_a_request_that_never_left() -> None:
    async with calling(provider_at(f"http://127.0.0.1:{free_port()}/v1")) as caller:
        error = await caller.failure()
    assert isinstance(error, ProviderDownError)
    assert not error.sent


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("404 Not Found", {"error": {"code": "model_not_found", "message": "sk-123"}}),
        ("400 Bad Request", {"error": {"message": "Model Not Exist", "type": "invalid"}}),
        ("404 Not Found", {"type": "error", "error": {"message": "model: m-1 does not exist"}}),
    ],
)
async def test_an_unknown_model_is_named_with_its_provider(
    status: str, body: dict[str, object]
) -> None:
    error, server = await failed_with(http(json.dumps(body).encode(), status=status))
    assert isinstance(error, RefusedCallError)
    assert "acme: does not know the model 'm-1'" in str(error)
    assert "[providers.acme]" in error.hint
    assert "sk-123" not in str(error)
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("message", "cure"),
    [
        ("This model does not support response format `json_schema`", "structured"),
        ("Unsupported parameter: 'max_tokens' is not supported with this model", "limit_key"),
        ("Unsupported value: 'temperature' does not support 0.8 with this model.", "omit"),
    ],
)
async def test_a_refused_parameter_is_told_with_the_setting_that_helps(
    message: str, cure: str
) -> None:
    body = json.dumps({"error": {"message": message}}).encode()
    error, _ = await failed_with(http(body, status="400 Bad Request"))
    assert isinstance(error, RefusedCallError)
    assert cure in error.hint
    assert "does not know" not in str(error)


async def test_a_request_holds_no_parameter_that_its_provider_refuses() -> None:
    async with loopback(reply()) as server:
        provider = replace(
            provider_at(server.url), limit_key="max_completion_tokens", omit=("temperature",)
        )
        async with calling(provider) as caller:
            await caller.call(max_tokens=10)
    assert server.bodies[0]["max_completion_tokens"] == 10
    assert not {"max_tokens", "temperature"} & set(server.bodies[0])


async def test_a_bare_404_may_be_the_address_as_well() -> None:
    error, _ = await failed_with(http(b"nothing here", status="404 Not Found"))
    assert "nothing is at this address" in str(error)
    assert "base_url" in error.hint


async def test_a_bad_key_costs_one_call_and_neither_retry_nor_breaker_nor_fallback() -> None:
    refused = http(b'{"error": {"message": "sk-123"}}', status="401 Unauthorized")
    async with loopback(refused) as server:
        same_key = Fallback(model="x", provider=provider_at(server.url, name="other"))
        provider = provider_at(server.url, Fallback(model="m-2"), same_key)
        async with calling(provider) as caller:
            for _ in range(6):  # more than it takes to open the breaker
                error = await caller.failure()
                assert isinstance(error, RefusedCallError)
            state = await caller.state()
        assert len(server.bodies) == 6
    assert (error.status, error.hint) == (401, "check ACME_API_KEY")
    assert "sk-123" not in str(error)
    assert (state.breaker, state.failures) == ("closed", 0)


async def test_a_bad_key_goes_on_to_a_fallback_with_another_key() -> None:
    refused = http(b"", status="401 Unauthorized")
    async with loopback(refused) as first, loopback(reply(model="other-1")) as second:
        other = Fallback(model="x", provider=provider_at(second.url, name="other", key="k2"))
        async with calling(provider_at(first.url, other)) as caller:
            done = await caller.call()
    assert (done.model, done.attempts) == ("other-1", 2)
    assert [body["model"] for body in second.bodies] == ["x"]


async def test_fallbacks_are_asked_in_order_and_the_reply_says_who_wrote_it() -> None:
    unknown = http(b'{"error": {"code": "model_not_found"}}', status="404 Not Found")
    async with loopback(unknown) as first, loopback(reply(model="big-1")) as second:
        other = Fallback(model="big", provider=provider_at(second.url, name="other"))
        last = Fallback(model="never")
        async with calling(provider_at(first.url, Fallback(model="m-2"), other, last)) as caller:
            done = await caller.call()
    assert [body["model"] for body in first.bodies] == ["m-1", "m-2"]
    assert done.model == "big-1"


async def test_an_open_breaker_degrades_to_the_fallback_provider() -> None:
    away = f"http://127.0.0.1:{free_port()}/v1"
    async with loopback(reply(model="big-1")) as second:
        other = Fallback(model="big", provider=provider_at(second.url, name="other"))
        async with calling(provider_at(away, Fallback(model="m-2"), other)) as caller:
            done = [await caller.call() for _ in range(3)]
            assert (await caller.state()).breaker == "open"
    assert [one.model for one in done] == ["big-1"] * 3
    assert done[-1].attempts == 1  # the gate is open: nothing left for the first provider


async def test_an_open_breaker_without_another_provider_is_told() -> None:
    away = f"http://127.0.0.1:{free_port()}/v1"
    async with calling(provider_at(away, Fallback(model="m-2"))) as caller:
        names = [type(await caller.failure()).__name__ for _ in range(2)]
    assert names[-1] == "ProviderOpenError"


async def test_a_retry_after_beyond_a_calls_time_degrades_every_call_to_the_fallback() -> None:
    busy = http(b"{}", status="429 Too Many Requests", Retry_After="7200")
    async with loopback(busy) as first, loopback(reply(model="big-1")) as second:
        other = Fallback(model="big", provider=provider_at(second.url, name="other"))
        async with calling(provider_at(first.url, other)) as caller:
            done = [await caller.call() for _ in range(3)]
            assert caller.completer.pool.requests == 4
    assert [one.model for one in done] == ["big-1"] * 3
    assert len(first.bodies) == 1


async def test_a_fallback_stands_behind_its_own_gate() -> None:
    unknown = http(b"{}", status="404 Not Found")
    async with loopback(unknown) as first, loopback(reply()) as second:
        other = provider_at(second.url, name="other")
        provider = provider_at(first.url, Fallback(model="big", provider=other))
        async with calling(provider) as caller:
            await caller.gate.announce()
            await caller.call()
            assert set(await caller.gate.known()) == {"acme", "other"}
            assert (await caller.gate.state("other")).slots == other.limits.slots
