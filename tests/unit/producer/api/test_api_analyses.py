"""Topic analyses over HTTP: a round is a run of its key; who waits gets what there is."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from producer.api import analyses
from tasks.schemas.analyses import AnalysisDocument
from tasks.schemas.ledger import StoredDocument
from tests.unit.producer.api.conftest import Api, instance, problem_in, settings_in

pytestmark = pytest.mark.anyio

TOPICS: dict[str, Any] = {"topics": ["Night trains", "Clock towers"]}


async def begun(api: Api, header: dict[str, str]) -> str:
    """Ask for an analysis."""
    answer = await api.client.post("/analyses", json=TOPICS, headers=header)
    assert answer.status_code == 202, answer.text
    run = str(answer.json()["run_id"])
    assert answer.headers["location"] == f"/analyses/{run}"
    assert answer.json()["topics"]["total"] == 2
    return run


async def analysed(api: Api, run: str, topic: int) -> None:
    """Let a topic be analysed."""
    ledger = api.site.deps.ledger
    document = AnalysisDocument(
        topic=TOPICS["topics"][topic], analysis="Tick.", results=3, seconds=0.5, worker="w", at_ms=1
    ).model_dump()
    for step in (f"p{topic}.search", f"p{topic}.analyze"):
        claim = await ledger.claim(run, step)
        await ledger.store(claim, StoredDocument(made_from="x", document=document))


async def test_what_is_analysed_is_told_as_the_file_tells_it(api: Api) -> None:
    header = await api.caller()
    run = await begun(api, header)
    await analysed(api, run, 0)
    told = (await api.client.get(f"/analyses/{run}", headers=header)).json()
    assert (told["run_id"], told["state"]) == (run, "running")
    assert told["summary"]["successful_tasks"] == 1
    [result] = told["results"]
    assert (result["topic"], result["success"], result["search_results_count"]) == (
        "Night trains",
        True,
        3,
    )
    await analysed(api, run, 1)
    told = (await api.client.get(f"/analyses/{run}", headers=header)).json()
    assert (told["state"], len(told["results"])) == ("done", 2)


async def test_who_waits_too_long_gets_what_there_is_and_where_to_look(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analyses, "WAIT_SHARE", 0.01)
    async with asyncio.timeout(60):
        header = {**await api.caller(), "Idempotency-Key": "k"}
        answer = await api.client.post("/analyze", json=TOPICS, headers=header)
        assert answer.status_code == 202, answer.text
        run = answer.json()["run_id"]
        assert answer.headers["location"] == f"/analyses/{run}"
        for topic in range(2):
            await analysed(api, run, topic)
        monkeypatch.undo()
        again = await api.client.post("/analyze", json=TOPICS, headers=header)
        assert (again.status_code, again.json()["run_id"]) == (200, run)
        assert again.json()["summary"]["total_tasks"] == 2


async def test_an_analysis_is_a_run_of_its_key_and_of_nobody_else(api: Api) -> None:
    mine, theirs = await api.caller(), await api.caller()
    run = await begun(api, mine)
    assert (await api.client.get(f"/runs/{run}", headers=mine)).json()["topics"]["total"] == 2
    problem_in(await api.client.get(f"/runs/{run}/results", headers=mine), 404)
    for path in (f"/analyses/{run}", f"/runs/{run}", f"/runs/{run}/events"):
        problem_in(await api.client.get(path, headers=theirs), 404)
    other = await api.run(mine)
    problem_in(await api.client.get(f"/analyses/{other}", headers=mine), 404)
    cancelled = await api.client.post(f"/runs/{run}/cancel", headers=mine)
    assert cancelled.json()["cancelled_steps"] > 0
    told = (await api.client.get(f"/analyses/{run}", headers=mine)).json()
    assert (told["state"], told["results"]) == ("cancelled", [])


async def test_open_analyses_count_as_runs(api: Api) -> None:
    header = await api.caller(runs=1)
    await begun(api, header)
    problem_in(await api.client.post("/analyze", json=TOPICS, headers=header), 429)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"topics": []}, "#/topics"),
        ({"topics": ["a", " "]}, "#/topics/1"),
        ({"topics": ["x" * 1_000_000]}, "#/topics/0"),
        ({"topics": "a"}, "#/topics"),
        ({"concurrency": 0}, "#/concurrency"),
        ({"concurrency": True}, "#/concurrency"),
        ({"timeout": "60"}, "#/timeout"),
        ({"timeout": 0}, "#/timeout"),
        ({"max_retries": 11}, "#/max_retries"),
        ({"iterations": -1}, "#/iterations"),
        ({"chat_model": "the-dearest"}, "#/chat_model"),
    ],
)
@pytest.mark.parametrize("path", ["/analyze", "/analyses"])
async def test_what_cannot_be_analysed_says_why(
    api: Api, path: str, change: dict[str, Any], said: str
) -> None:
    header = await api.caller()
    answer = await api.client.post(path, json={**TOPICS, **change}, headers=header)
    problem = problem_in(answer, 422)
    assert [one["pointer"] for one in problem["errors"]] == [said]


async def test_of_very_many_mistakes_the_first_are_named(api: Api) -> None:
    header = await api.caller()
    answer = await api.client.post("/analyses", json={"topics": [" "] * 10_000}, headers=header)
    problem = problem_in(answer, 422)
    assert "10,000 places" in problem["detail"]
    assert [one["pointer"] for one in problem["errors"]] == [f"#/topics/{n}" for n in range(50)]


async def test_10_000_topics_are_one_analysis_and_one_that_is_given_twice_is_analysed_once(
    redis: Any, sent: Any, tmp_path: Path
) -> None:
    roomy = settings_in(tmp_path).model_copy(
        update={"queue_most_calls": 100_000, "api_timeout_s": 120}
    )
    async with instance(redis, tmp_path, settings=roomy) as api:
        header = await api.caller()
        body = {"topics": [*(f"topic {n}" for n in range(10_000)), "topic 1"]}
        answer = await api.client.post("/analyses", json=body, headers=header)
        assert answer.status_code == 202, answer.text
        assert answer.json()["topics"]["total"] == 10_000
