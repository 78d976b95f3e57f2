"""`Idempotency-Key`: one run, however often and to whomever a request is sent."""

import asyncio
from typing import Any

import pytest

from tasks.errors import RedisAwayError
from tasks.store import keys, once
from tasks.store.submissions import Submissions
from tests.unit.producer.api.conftest import TEXT, Api, problem_in

pytestmark = pytest.mark.anyio


async def runs_of(api: Api, header: dict[str, str]) -> list[str]:
    """List the ids of a key's runs."""
    lines = (await api.client.get("/runs", headers=header)).json()["runs"]
    return [line["run_id"] for line in lines]


async def test_the_same_request_under_one_key_makes_one_run(api: Api, sent: list[Any]) -> None:
    header = {**await api.caller(), "Idempotency-Key": "k"}
    first = await api.client.post("/runs", json=TEXT, headers=header)
    messages = len(sent)
    again = await api.client.post("/runs", json={**TEXT, "seed": 0}, headers=header)
    assert again.status_code == first.status_code == 202
    assert again.json()["run_id"] == first.json()["run_id"]
    assert len(sent) == messages
    assert len(await runs_of(api, header)) == 1


async def test_another_request_under_the_same_key_is_refused(api: Api) -> None:
    header = {**await api.caller(), "Idempotency-Key": "k"}
    await api.run(header)
    answer = await api.client.post("/runs", json={**TEXT, "tweets": 3}, headers=header)
    assert "another request" in problem_in(answer, 422)["detail"]
    await api.run({**header, "Idempotency-Key": "other"})
    assert len(await runs_of(api, header)) == 2


async def test_two_callers_may_use_the_same_key(api: Api) -> None:
    one = {**await api.caller(), "Idempotency-Key": "k"}
    two = {**await api.caller(), "Idempotency-Key": "k"}
    assert await api.run(one) != await api.run(two)


async def test_equal_requests_at_once_make_one_run(api: Api) -> None:
    header = {**await api.caller(), "Idempotency-Key": "k"}
    answers = await asyncio.gather(
        *(api.client.post("/runs", json=TEXT, headers=header) for _ in range(8))
    )
    assert {answer.status_code for answer in answers} <= {202, 409}
    for answer in answers:
        if answer.status_code == 409:
            problem_in(answer, 409)
            assert int(answer.headers["retry-after"]) >= 1
    made = {answer.json()["run_id"] for answer in answers if answer.status_code == 202}
    assert made == set(await runs_of(api, header))
    assert len(made) == 1


async def test_a_request_that_was_refused_may_be_sent_again(api: Api, redis: Any) -> None:
    header = {**await api.caller(), "Idempotency-Key": "k"}
    workers = await redis.hgetall(keys.SERVICES)
    await redis.delete(keys.SERVICES)
    problem_in(await api.client.post("/runs", json=TEXT, headers=header), 503)
    await redis.hset(keys.SERVICES, mapping=workers)
    await api.run(header)


async def test_a_request_whose_first_died_half_way_is_finished_under_the_same_run(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = {**await api.caller(), "Idempotency-Key": "k"}
    accept = Submissions.accept

    async def die(*_: Any) -> list[str]:
        raise RedisAwayError("Redis went away")

    monkeypatch.setattr(Submissions, "accept", die)
    problem_in(await api.client.post("/runs", json=TEXT, headers=header), 503)
    [half] = await runs_of(api, header)
    monkeypatch.setattr(Submissions, "accept", accept)
    problem_in(await api.client.post("/runs", json=TEXT, headers=header), 409)
    monkeypatch.setattr(once, "LEASE_MS", -1)  # the first is dead by now
    header["Idempotency-Key"] = "later"
    monkeypatch.setattr(Submissions, "accept", die)
    problem_in(await api.client.post("/runs", json=TEXT, headers=header), 503)
    monkeypatch.setattr(Submissions, "accept", accept)
    finished = await api.run(header)
    runs = await runs_of(api, header)
    assert len(runs) == 2
    assert half in runs
    assert (await api.client.get(f"/runs/{finished}", headers=header)).json()["state"] == "running"


@pytest.mark.parametrize("wrong", ["", "x" * 256])
async def test_a_key_that_is_none_is_refused(api: Api, wrong: str) -> None:
    header = {**await api.caller(), "Idempotency-Key": wrong}
    problem_in(await api.client.post("/runs", json=TEXT, headers=header), 422)
