"""The simulated provider over real HTTP on loopback: replies, limits, faults, counters."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tasks.errors import BadInputError, ServiceAwayError
from tasks.llm.simulator.options import SimulatorOptions
from tasks.llm.simulator.server import listening, running, serve

_SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
_STRICT = {
    "type": "json_schema",
    "json_schema": {"name": "x", "schema": _SCHEMA, "strict": True},
}


class Client:
    """Talks to one simulated provider."""

    def __init__(self, http: aiohttp.ClientSession, base_url: str) -> None:
        self.http = http
        self.base_url = base_url
        self.root = base_url.removesuffix("/v1")

    def post(self, text: str = "Hi", *, key: str = "", auth: str = "", **members: Any) -> Any:
        headers = {"Idempotency-Key": key} if key else {}
        if auth:
            headers["Authorization"] = auth
        body = {"model": "m", "messages": [{"role": "user", "content": text}], **members}
        return self.http.post(f"{self.base_url}/chat/completions", json=body, headers=headers)

    async def chat(self, text: str = "Hi", **members: Any) -> tuple[int, dict[str, Any]]:
        async with self.post(text, **members) as response:
            return response.status, await response.json()

    async def stats(self) -> dict[str, Any]:
        async with self.http.get(f"{self.root}/stats") as response:
            return dict(await response.json())

    async def until_in_flight(self, count: int) -> dict[str, Any]:
        while (stats := await self.stats())["in_flight"] != count:  # noqa: ASYNC110 over HTTP
            await asyncio.sleep(0.005)
        return stats


@contextlib.asynccontextmanager
async def provider(**options: Any) -> AsyncIterator[Client]:
    given = SimulatorOptions.model_validate({"latency_s": 0, **options})
    async with running(given) as base_url, aiohttp.ClientSession() as http:
        yield Client(http, base_url)


def check(steps: Callable[[Client], Awaitable[None]], **options: Any) -> None:
    async def all_steps() -> None:
        async with provider(**options) as client:
            await steps(client)

    asyncio.run(asyncio.wait_for(all_steps(), 20))


def test_a_structured_reply_has_the_shape_of_the_api_and_says_it_is_simulated() -> None:
    async def steps(client: Client) -> None:
        status, body = await client.chat(response_format=_STRICT, key="k")
        assert status == 200
        assert (body["object"], body["model"]) == ("chat.completion", "m")
        assert body["system_fingerprint"] == "castline-simulated"
        choice = body["choices"][0]
        assert set(json.loads(choice["message"]["content"])) == {"name", "age"}
        assert choice["finish_reason"] == "stop"
        usage = body["usage"]
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]

    check(steps)


def test_a_stream_says_what_the_whole_reply_says_and_ends_in_done() -> None:
    async def steps(client: Client) -> None:
        _, whole = await client.chat("A long walk")
        options = {"include_usage": True}
        async with client.post("A long walk", stream=True, stream_options=options) as response:
            assert response.content_type == "text/event-stream"
            lines = (await response.text()).split("\n\n")
        events = [line.removeprefix("data: ") for line in lines if line]
        assert events[-1] == "[DONE]"
        chunks = [json.loads(event) for event in events[:-1]]
        said = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"])
        assert said == whole["choices"][0]["message"]["content"]
        assert chunks[-1]["usage"] == whole["usage"]
        assert chunks[-2]["choices"][0]["finish_reason"] == "stop"

    check(steps)


def test_an_impossible_schema_is_answered_with_400() -> None:
    async def steps(client: Client) -> None:
        for schema in ({"type": "array", "minItems": 2, "maxItems": 1}, {"$ref": "#/no"}):
            described = {"name": "x", "schema": schema, "strict": True}
            form = {"type": "json_schema", "json_schema": described}
            status, body = await client.chat(response_format=form)
            assert (status, body["error"]["type"]) == (400, "invalid_request_error")

    check(steps)


def test_the_api_key_is_demanded_only_when_there_is_one() -> None:
    async def steps(client: Client) -> None:
        status, body = await client.chat()
        assert (status, body["error"]["code"]) == (401, "invalid_api_key")
        assert (await client.chat(auth="Bearer secret"))[0] == 200
        async with client.http.get(f"{client.base_url}/models") as response:
            assert response.status == 401
        assert (await client.stats())["rejected"] == {"total": 2, "401": 2}

    check(steps, api_key="secret")


def test_calls_above_the_rate_are_refused_with_a_retry_after() -> None:
    async def steps(client: Client) -> None:
        assert (await client.chat())[0] == 200
        async with client.post() as response:
            assert response.status == 429
            assert response.headers["Retry-After"] == "60"
            error = (await response.json())["error"]
        assert error["code"] == "rate_limit_exceeded"
        stats = await client.stats()
        assert (stats["granted"], stats["rejected"]["rpm"]) == (1, 1)
        async with client.http.post(f"{client.root}/reset") as response:
            assert response.status == 200
        assert (await client.chat())[0] == 200
        assert (await client.stats())["granted"] == 1

    check(steps, rpm=1)


def test_tokens_count_with_the_completion_included() -> None:
    async def steps(client: Client) -> None:
        _, body = await client.chat("x" * 100)
        assert body["usage"]["total_tokens"] > 25
        assert (await client.chat())[0] == 429
        assert (await client.stats())["rejected"]["tpm"] == 1

    check(steps, tpm=26, limit_mode="window")


def test_no_more_calls_are_answered_at_once_than_there_are_slots() -> None:
    async def steps(client: Client) -> None:
        hanging = [asyncio.create_task(client.chat(key=f"k{n}")) for n in range(3)]
        await client.until_in_flight(3)
        status, body = await client.chat()
        assert (status, body["error"]["code"]) == (429, "rate_limit_exceeded")
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        stats = await client.until_in_flight(0)
        assert (stats["max_in_flight"], stats["faults"]) == (3, {"hang": 3})

    check(steps, slots=3, faults="hang=1")


@pytest.mark.parametrize(
    ("fault", "finish_reason"),
    [("badjson", "stop"), ("truncate", "length"), ("empty", "stop")],
)
def test_a_spoiled_reply_is_spoiled_as_its_fault_says(fault: str, finish_reason: str) -> None:
    async def steps(client: Client) -> None:
        status, body = await client.chat(response_format=_STRICT)
        choice = body["choices"][0]
        assert (status, choice["finish_reason"]) == (200, finish_reason)
        with pytest.raises(json.JSONDecodeError):
            json.loads(choice["message"]["content"])
        assert (await client.stats())["faults"] == {fault: 1}

    check(steps, faults=f"{fault}=1")


def test_refusing_faults_refuse_without_granting() -> None:
    for fault, status in (("429", 429), ("5xx", 503)):

        async def steps(client: Client, fault: str = fault, status: int = status) -> None:
            assert (await client.chat(key="k"))[0] == status
            stats = await client.stats()
            assert (stats["granted"], stats["faults"]) == (0, {fault: 1})

        check(steps, faults=f"{fault}=1")


def test_a_html_page_is_no_json_though_its_status_is_200() -> None:
    async def steps(client: Client) -> None:
        async with client.post() as response:
            assert (response.status, response.content_type) == (200, "text/html")

    check(steps, faults="html=1")


def test_a_dropped_connection_ends_in_the_middle_of_the_body_and_is_no_server_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def steps(client: Client) -> None:
        for stream in (False, True):
            with pytest.raises(aiohttp.ClientPayloadError):
                async with client.post(stream=stream) as response:
                    await response.read()
        assert (await client.stats())["answered"] == 0

    check(steps, faults="drop=1")
    assert caplog.records == []


def test_repeated_and_missing_keys_loose_requests_and_connections_are_counted() -> None:
    async def steps(client: Client) -> None:
        for key in ("a", "a", "b", ""):
            await client.chat(key=key, response_format=_STRICT)
        await client.chat(key="c")
        stats = await client.stats()
        assert (stats["granted"], stats["duplicate_keys"]) == (5, 1)
        assert (stats["without_key"], stats["not_strict"], stats["connections"]) == (1, 1, 1)

    check(steps)


def test_the_log_has_a_line_per_granted_request_and_never_its_text(tmp_path: Path) -> None:
    log = tmp_path / "requests.jsonl"

    async def steps(client: Client) -> None:
        await client.chat("a very secret brief", key="k1")
        gone = asyncio.create_task(client.chat(key="k3"))
        await client.until_in_flight(1)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        await client.until_in_flight(0)

    check(steps, log=log, faults="hang=0.5", seed=7)  # this seed lets k1 through and hangs k3
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["idempotency_key"], line["status"]) for line in lines] == [
        ("k1", 200),
        ("k3", 499),
    ]
    assert set(lines[0]) == {
        "at", "idempotency_key", "model", "status", "seconds",
        "prompt_tokens", "completion_tokens", "in_flight",
    }  # fmt: skip
    assert lines[0]["completion_tokens"] > 0
    assert "secret" not in log.read_text()


def test_the_server_ends_though_a_call_hangs_and_a_client_stays_connected(tmp_path: Path) -> None:
    log = tmp_path / "requests.jsonl"
    options = SimulatorOptions(faults="hang=1", log=log)

    async def end_while_hanging() -> None:
        async with aiohttp.ClientSession() as http:
            async with running(options) as base_url:
                client = Client(http, base_url)
                call = asyncio.create_task(client.chat(key="k"))
                await client.until_in_flight(1)
            with pytest.raises(aiohttp.ClientError):
                await call

    asyncio.run(asyncio.wait_for(end_while_hanging(), 10))
    assert json.loads(log.read_text())["status"] == 499


def test_a_taken_port_and_a_wrong_option_are_told_in_words(tmp_path: Path) -> None:
    async def steps(client: Client) -> None:
        port = int(client.root.rsplit(":", 1)[1])
        with pytest.raises(ServiceAwayError, match=str(port)):
            async with listening(SimulatorOptions(port=port)):
                pass
        with pytest.raises(BadInputError, match="teapot"):
            async with listening(SimulatorOptions(faults="teapot=1")):
                pass
        with pytest.raises(BadInputError, match="cannot write the log"):
            async with listening(SimulatorOptions(log=tmp_path)):
                pass

    check(steps)


def test_serving_ends_cleanly_at_sigterm_after_saying_its_port() -> None:
    ports: list[int] = []

    def ready(port: int) -> None:
        ports.append(port)
        os.kill(os.getpid(), signal.SIGTERM)

    asyncio.run(asyncio.wait_for(serve(SimulatorOptions(), ready=ready), 10))
    assert ports[0] > 0
