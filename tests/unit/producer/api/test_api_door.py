"""Who may enter the API, with what, how often; and that every refusal is a problem."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from anyio import BrokenResourceError
from redis.exceptions import ConnectionError as RedisConnectionError

from producer.api import docs_page
from producer.api.door import BODY_BYTES, Door
from tasks.errors import ConfigurationError
from tasks.settings import read_settings
from tests.unit.producer.api.conftest import TEXT, Api, instance, problem_in, settings_in

pytestmark = pytest.mark.anyio


async def test_without_a_key_nothing_but_health_and_documentation_opens(api: Api) -> None:
    for path in ("/health", "/ready", "/openapi.json", *docs_page.PATHS):
        assert (await api.client.get(path)).status_code == 200
    for path in ("/runs", "/runs/x", "/limits", "/nothing-here"):
        answer = await api.client.get(path)
        problem_in(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "authorization",
    ["Bearer", "Bearer x", "Basic eDp5", "Bearer castline_aaaaaaaaaa_" + "A" * 43, "castline_a_b"],
)
async def test_a_wrong_key_opens_nothing(api: Api, authorization: str) -> None:
    answer = await api.client.get("/runs", headers={"Authorization": authorization})
    problem_in(answer, 401)


async def test_a_key_with_another_secret_opens_nothing(api: Api) -> None:
    header = await api.caller()
    token = header["Authorization"]
    other = token[:-1] + ("A" if token[-1] != "A" else "B")
    assert (await api.client.get("/runs", headers=header)).status_code == 200
    problem_in(await api.client.get("/runs", headers={"Authorization": other}), 401)


async def test_a_revoked_key_opens_nothing_from_then_on(api: Api) -> None:
    header = await api.caller()
    [key] = await api.site.api_keys.every()
    await api.site.api_keys.revoke(key.id)
    problem_in(await api.client.get("/runs", headers=header), 401)


async def test_redis_holds_no_secret_of_a_key(api: Api, redis: Any) -> None:
    header = await api.caller()
    secret = header["Authorization"].split("_", 2)[2]
    stored = await redis.hgetall("castline:api-keys")
    assert stored
    assert secret not in str(stored)


async def test_a_key_over_its_rate_is_told_when_to_come_again(api: Api) -> None:
    header = await api.caller(rpm=12)  # two at once: ten seconds' worth
    other = await api.caller(rpm=12)
    assert [(await api.client.get("/runs", headers=header)).status_code for _ in range(2)] == [
        200,
        200,
    ]
    answer = await api.client.get("/runs", headers=header)
    assert problem_in(answer, 429)["type"] == "urn:castline:rate"
    assert 1 <= int(answer.headers["retry-after"]) <= 5
    assert (await api.client.get("/runs", headers=other)).status_code == 200


async def test_a_body_that_is_no_json_object_of_ours_is_refused(api: Api) -> None:
    header = await api.caller()
    json = {**header, "Content-Type": "application/json"}
    post = api.client.post
    problem_in(await post("/runs", content=b"a: b", headers={**header, "Content-Type": "t/x"}), 415)
    problem_in(await post("/runs", content=b"{}", headers=header), 415)
    for broken in (b"{", b'{"tweets": 1,}', b"\xff\xfe{}"):
        problem_in(await post("/runs", content=broken, headers=json), 400)
    for wrong in (b"[]", b"null", b'"x"', b"3", b"{}"):
        problem_in(await post("/runs", content=wrong, headers=json), 422)


async def test_a_body_that_is_too_large_is_refused_announced_or_not(api: Api) -> None:
    header = {**await api.caller(), "Content-Type": "application/json"}
    run = await api.run(header)
    large = b" " * (BODY_BYTES + 1)
    problem_in(await api.client.post(f"/runs/{run}/cancel", content=large, headers=header), 413)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(49):
            yield b" " * 1024 * 1024

    problem_in(await api.client.post("/runs", content=chunks(), headers=header), 413)


async def test_no_refusal_repeats_what_was_sent(api: Api) -> None:
    header = await api.caller()
    body = {"characters": [{"text": "hush-hush", "nick": "hush-hush"}], "hush": "hush-hush"}
    answer = await api.client.post("/runs", json=body, headers=header)
    assert {one["pointer"] for one in problem_in(answer, 422)["errors"]} >= {
        "#/characters/0/nick",
        "#/hush",
    }
    assert "hush-hush" not in answer.text


async def test_a_path_or_a_method_that_is_not_there_is_a_problem(api: Api) -> None:
    header = await api.caller()
    problem_in(await api.client.get("/nothing", headers=header), 404)
    answer = await api.client.delete("/runs", headers=header)
    problem_in(answer, 405)
    assert answer.headers["allow"] == "GET, POST"


async def test_a_follower_that_goes_while_it_is_told_something_is_no_error(api: Api) -> None:
    def breaking(error: Exception) -> Door:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            raise ExceptionGroup("of FastAPI's stream", [error])

        return Door(app)

    async def ask(door: Door) -> None:
        scope = {"type": "http", "method": "GET", "path": "/health", "headers": [], "app": api.app}

        async def nothing(*_: Any) -> None:
            pass

        await door(scope, nothing, nothing)

    await ask(breaking(BrokenResourceError()))
    with pytest.raises(ExceptionGroup):
        await ask(breaking(ValueError()))


async def test_redis_that_is_away_is_a_problem_and_not_a_crash(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = await api.caller()

    async def away(*_: Any, **__: Any) -> None:
        raise RedisConnectionError("Error 111 connecting")

    monkeypatch.setattr(api.site.api_keys, "judge", away)
    answer = await api.client.get("/runs", headers=header)
    assert problem_in(answer, 503)["type"] == "urn:castline:service-away"
    assert answer.headers["retry-after"]
    monkeypatch.undo()
    monkeypatch.setattr(api.site.owned, "newest", away)
    problem_in(await api.client.get("/runs", headers=header), 503)
    assert (await api.client.get("/health")).status_code == 200


async def test_an_answer_that_takes_too_long_is_given_up(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = await api.caller()
    forever = asyncio.Event()

    async def never(*_: Any, **__: Any) -> None:
        await forever.wait()

    monkeypatch.setattr(api.site.owned, "newest", never)
    object.__setattr__(api.site.deps.settings, "api_timeout_s", 0.05)
    assert (
        problem_in(await api.client.get("/runs", headers=header), 503)["type"]
        == "urn:castline:timeout"
    )


async def test_more_requests_than_an_instance_takes_are_turned_away(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = await api.caller()
    inside, leave = asyncio.Semaphore(0), asyncio.Event()

    async def slow(*_: Any, **__: Any) -> list[str]:
        inside.release()
        await leave.wait()
        return []

    monkeypatch.setattr(api.site.owned, "newest", slow)
    under_way = [
        asyncio.create_task(api.client.get("/runs", headers=header))
        for _ in range(api.site.deps.settings.api_requests)
    ]
    for _ in under_way:
        await inside.acquire()
    assert problem_in(await api.client.get("/health"), 503)["type"] == "urn:castline:busy"
    leave.set()
    assert {answer.status_code for answer in await asyncio.gather(*under_way)} == {200}


async def test_an_unexpected_error_is_a_problem_without_its_text(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = await api.caller()

    async def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("hush-hush")

    monkeypatch.setattr(api.site.owned, "newest", broken)
    answer = await api.client.get("/runs", headers=header)
    problem_in(answer, 500)
    assert "hush-hush" not in answer.text


async def test_the_log_has_the_path_and_the_keys_id_but_no_query_and_no_token(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    header = await api.caller()
    with caplog.at_level(logging.INFO, logger="castline.api"):
        await api.client.get("/runs?limit=3&token=hush-hush", headers=header)
        await api.client.get("/runs/a%0d%0aINFO forged", headers=header)
        await api.client.post("/runs", json=TEXT, headers=header)
    [key] = await api.site.api_keys.every()
    lines = [record.getMessage() for record in caplog.records if record.name == "castline.api"]
    assert [line.split(" ")[:3] for line in lines] == [
        ["GET", "/runs", "200"],
        ["GET", "/runs/a%0d%0aINFO%20forged", "404"],
        ["POST", "/runs", "202"],
    ]
    assert all(f"key={key.id}" in line for line in lines)
    for secret in ("hush-hush", header["Authorization"].split("_", 2)[2], "clocks"):
        assert secret not in caplog.text


async def test_only_pages_of_named_origins_may_ask(redis: Any, sent: Any, tmp_path: Path) -> None:
    preflight = {
        "Origin": "https://a.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization,last-event-id",
    }
    named = settings_in(tmp_path).model_copy(update={"api_origins": "https://a.example"})
    async with instance(redis, tmp_path, settings=named) as api:
        allowed = await api.client.options("/runs", headers=preflight)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == "https://a.example"
        refused = await api.client.get("/runs", headers={"Origin": "https://a.example"})
        problem_in(refused, 401)
        assert refused.headers["access-control-allow-origin"] == "https://a.example"
        other = {**preflight, "Origin": "https://b.example"}
        assert (await api.client.options("/runs", headers=other)).status_code == 400
    async with instance(redis, tmp_path) as api:
        problem_in(await api.client.options("/runs", headers=preflight), 401)
        answer = await api.client.get("/health", headers={"Origin": "https://a.example"})
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("wrong", ["*", "a.example", "https://a.example/", "https://a, https://b"])
def test_an_origin_that_is_none_stops_the_program(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="CASTLINE_API_ORIGINS"):
        read_settings(api_origins=wrong)
