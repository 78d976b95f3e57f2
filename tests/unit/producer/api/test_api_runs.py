"""Runs over HTTP: asked for, seen by nobody else, limited, checked."""

import base64
import io
import json
from typing import Any

import pytest
from PIL import Image

from tasks.schemas.calls import CallUsage
from tasks.schemas.ledger import StoredDocument
from tasks.store import keys
from tests.unit.producer.api.conftest import TEXT, Api, problem_in

pytestmark = pytest.mark.anyio

CARD = {
    "spec": "chara_card_v2",
    "spec_version": "2.0",
    "data": {
        **dict.fromkeys(
            ["description", "personality", "scenario", "first_mes", "mes_example"], "quiet"
        ),
        **dict.fromkeys(
            ["creator_notes", "system_prompt", "post_history_instructions", "creator"], ""
        ),
        "name": "Mara Lind",
        "character_version": "",
        "alternate_greetings": [],
        "tags": [],
        "extensions": {},
    },
}


def png() -> str:
    """A small picture in base64."""
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "navy").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


async def test_a_run_is_written_for_its_key_and_its_messages_are_sent(
    api: Api, sent: list[Any]
) -> None:
    header = await api.caller()
    answer = await api.client.post("/runs", json=TEXT, headers=header)
    assert answer.status_code == 202
    status = answer.json()
    assert (status["state"], status["tweets"]["total"], status["out"]) == ("running", 2, None)
    assert answer.headers["location"] == f"/runs/{status['run_id']}"
    assert sent
    seen = await api.client.get(answer.headers["location"], headers=header)
    assert seen.json()["run_id"] == status["run_id"]
    request = await api.site.deps.reader.request(status["run_id"])
    [key] = await api.site.api_keys.every()
    assert (request.owner, request.out) == (key.id, "")
    assert request.first_day
    assert request.seed


async def test_another_keys_run_does_not_exist_whatever_is_asked(api: Api) -> None:
    mine, theirs = await api.caller(), await api.caller()
    run = await api.run(mine)
    for method, path in (
        ("GET", ""),
        ("GET", "/results"),
        ("GET", "/events"),
        ("GET", "/pictures/p0.i01"),
        ("POST", "/cancel"),
        ("POST", "/retry"),
    ):
        refused = await api.client.request(method, f"/runs/{run}{path}", headers=theirs)
        absent = await api.client.request(method, f"/runs/absent{path}", headers=theirs)
        assert problem_in(refused, 404) == problem_in(absent, 404)
    assert (await api.client.get("/runs", headers=theirs)).json() == {"runs": []}
    [line] = (await api.client.get("/runs", headers=mine)).json()["runs"]
    assert line["run_id"] == run


async def test_a_run_of_the_command_line_belongs_to_no_key(api: Api, redis: Any) -> None:
    header = await api.caller()
    run = await api.run(header)
    await redis.hset(keys.RunKeys(run).run, "owner", "")
    problem_in(await api.client.get(f"/runs/{run}", headers=header), 404)


async def test_what_looks_like_a_key_of_redis_is_no_run(api: Api) -> None:
    header = await api.caller()
    run = await api.run(header)
    for name in (f"{run}:events", f"{run}:rows", "..", "%2e%2e", "a" * 199, "Ä", f"{run}%00"):
        answer = await api.client.get(f"/runs/{name}", headers=header)
        assert answer.status_code == 404, name


async def test_a_key_has_at_most_so_many_open_runs(api: Api, redis: Any) -> None:
    header = await api.caller(runs=2)
    first, _ = await api.run(header), await api.run(header)
    answer = await api.client.post("/runs", json=TEXT, headers=header)
    assert "2 open runs" in problem_in(answer, 429)["detail"]
    assert int(answer.headers["retry-after"]) > 0
    await redis.hset(keys.RunKeys(first).run, "state", "finished")
    await api.run(header)


async def test_a_cluster_with_too_much_to_do_says_for_how_long(api: Api) -> None:
    header = await api.caller()
    body = {**TEXT, "personas": 4}  # 4 x 14 calls, past the mark of 40
    assert (await api.client.post("/runs", json=body, headers=header)).status_code == 202
    answer = await api.client.post("/runs", json=TEXT, headers=header)
    problem = problem_in(answer, 429)
    assert (problem["type"], problem["queued_calls"]) == ("urn:castline:overloaded", 56)
    assert int(answer.headers["retry-after"]) >= 5
    listed = (await api.client.get("/runs", headers=header)).json()["runs"]
    assert len(listed) == 1, "a refused run is in the list"
    for path, other in (
        ("/analyses", {"topics": ["Clocks"]}),
        ("/analyze", {"topics": ["Clocks"]}),
        ("/discussions", {"topic": "Clocks"}),
    ):
        refused = await api.client.post(path, json=other, headers=header)
        assert problem_in(refused, 429)["type"] == "urn:castline:overloaded"
        assert int(refused.headers["retry-after"]) >= 5


async def test_nobody_who_would_write_is_a_problem_of_the_service(api: Api, redis: Any) -> None:
    header = await api.caller()
    await redis.delete(keys.SERVICES)
    answer = await api.client.post("/runs", json=TEXT, headers=header)
    assert problem_in(answer, 503)["type"] == "urn:castline:no-worker"
    assert (await api.client.get("/ready")).json()["workers"] is False


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"characters": []}, "#/characters"),
        ({"characters": [{}]}, "#/characters/0"),
        ({"characters": [{"text": " "}]}, "#/characters/0"),
        ({"characters": [{"text": "a", "card": {}}]}, "#/characters/0"),
        ({"characters": [{"text": "a" * 20_001}]}, "#/characters/0/text"),
        ({"characters": [{"text": "\ud800"}]}, "#/characters/0/text"),
        ({"personas": 0}, "#/personas"),
        ({"tweets": -1}, "#/tweets"),
        ({"tweets": 1001}, "#/tweets"),
        ({"tweets": 1.5}, "#/tweets"),
        ({"language": "fr"}, "#/language"),
        ({"priority": "now"}, "#/priority"),
        ({"seed": 2**31}, "#/seed"),
        ({"renderer": "diffusers:somebody/else"}, "#/renderer"),
        ({"owner": "somebody"}, "#/owner"),
        ({"out": "/etc"}, "#/out"),
    ],
)
async def test_a_field_that_is_wrong_is_named(
    api: Api, change: dict[str, Any], pointer: str
) -> None:
    header = {**await api.caller(), "Content-Type": "application/json"}
    body = json.dumps({**TEXT, **change})
    answer = await api.client.post("/runs", content=body, headers=header)
    assert pointer in [one["pointer"] for one in problem_in(answer, 422)["errors"]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"characters": [{"text": "a"}, {"text": "b"}], "personas": 1}, "2 characters are given"),
        ({"characters": [{"image": "aGVsbG8="}]}, "character 1"),
        ({"characters": [{"image": "no base64!"}]}, "character 1"),
        ({"characters": [{"card": {"spec": "x"}}]}, "not a character card"),
        ({"characters": [{"card": CARD}], "tweets": 0}, "nothing to make"),
        ({"characters": [{"card": {**CARD, "x": "\ud800"}}]}, "JSON does not have"),
        ({"calendars": [{"calendar": {"tomorrow": {}}}]}, "calendar 1"),
        ({"calendars": [{}, {}]}, "2 calendars for 1"),
        ({"personas": 1000, "tweets": 1000}, "too many for one run"),
    ],
)
async def test_what_cannot_be_made_says_why(api: Api, change: dict[str, Any], said: str) -> None:
    header = {**await api.caller(), "Content-Type": "application/json"}
    body = json.dumps({**TEXT, **change})
    answer = await api.client.post("/runs", content=body, headers=header)
    assert said in problem_in(answer, 422)["detail"]


async def test_pictures_and_cards_are_taken_as_sources(api: Api, redis: Any) -> None:
    header = await api.caller()
    line = (await redis.hgetall(keys.SERVICES))["w"]
    await redis.hset(keys.SERVICES, "w", line.replace('"vision":false', '"vision":true'))
    body = {"characters": [{"image": png(), "label": "me"}, {"card": CARD}], "tweets": 1}
    answer = await api.client.post("/runs", json=body, headers=header)
    assert answer.status_code == 202, answer.text
    run = answer.json()["run_id"]
    found = await api.client.get(f"/runs/{run}/pictures/p0.portrait", headers=header)
    assert found.headers["content-type"] == "image/png"
    assert found.content.startswith(b"\x89PNG")
    for name in ("p1.portrait", "p0.i01", "p0.core", "p9.portrait", "nothing", "..%2f..%2fx"):
        answer = await api.client.get(f"/runs/{run}/pictures/{name}", headers=header)
        problem_in(answer, 404)
    results = (await api.client.get(f"/runs/{run}/results", headers=header)).json()
    assert [c["name"] for c in results["characters"]] == ["", "Mara Lind"]
    assert results["ai_generated"] is True


async def test_results_hold_what_is_done_so_far(api: Api) -> None:
    header = await api.caller()
    body = {"characters": [{"card": CARD}], "tweets": 2}
    run = (await api.client.post("/runs", json=body, headers=header)).json()["run_id"]
    ledger = api.site.deps.ledger
    for step, document in (
        ("p0.calendar", {"calendar": {}}),
        ("p0.t01", {"date": "2026-12-01", "text": "Tick.", "image_prompt": "a clock"}),
    ):
        claim = await ledger.claim(run, step)
        usage = CallUsage(model="m", made=1)
        await ledger.store(claim, StoredDocument(made_from="x", document=document, usage=usage))
    results = (await api.client.get(f"/runs/{run}/results", headers=header)).json()
    [mara] = results["characters"]
    assert [(t["slot"], t["text"], t["status"]) for t in mara["tweets"]] == [
        (1, "Tick.", "done"),
        (2, "", "waiting"),
    ]


async def test_a_cancelled_run_ends_and_can_be_retried(api: Api, sent: list[Any]) -> None:
    header = await api.caller(runs=1)
    run = await api.run(header)
    cancelled = await api.client.post(f"/runs/{run}/cancel", headers=header)
    assert cancelled.json()["cancelled_steps"] > 0
    assert (await api.client.get(f"/runs/{run}", headers=header)).json()["state"] == "cancelled"
    before = len(sent)
    again = await api.client.post(f"/runs/{run}/retry", headers=header)
    assert (again.status_code, again.json()["state"]) == (202, "running")
    assert len(sent) > before
    [line] = (await api.client.get("/runs", headers=header)).json()["runs"]
    assert line["run_id"] == run


async def test_the_list_is_newest_first_and_in_pages(api: Api) -> None:
    header = await api.caller()
    made = [await api.run(header) for _ in range(3)]
    page = await api.client.get("/runs?limit=2", headers=header)
    rest = await api.client.get("/runs?limit=2&skip=2", headers=header)
    listed = [line["run_id"] for line in page.json()["runs"] + rest.json()["runs"]]
    assert sorted(listed) == sorted(made)
    assert len(page.json()["runs"]) == 2
    for wrong in ("limit=0", "limit=201", "limit=x", "skip=-1"):
        problem_in(await api.client.get(f"/runs?{wrong}", headers=header), 422)


async def test_limits_show_the_keys_own_and_the_load(api: Api) -> None:
    header = await api.caller(rpm=60, runs=3)
    body = (await api.client.get("/limits", headers=header)).json()
    assert (body["key"]["rpm"], body["key"]["runs"], body["load"]["state"]) == (60, 3, "low")
    assert "digest" not in body["key"]
