"""Discussions over HTTP: begun once, seen by nobody else, checked."""

import asyncio
from typing import Any

import pytest

from tasks.schemas.discussions import SummaryDocument, TurnDocument
from tasks.schemas.ledger import StoredDocument
from tasks.store import keys
from tasks.upkeep import tend_sessions
from tests.unit.producer.api.conftest import Api, problem_in
from tests.unit.producer.api.test_api_events import events_in

pytestmark = pytest.mark.anyio

TALK: dict[str, Any] = {"topic": "Clock towers", "roles": ["critic"], "rounds": 1}


async def begun(api: Api, header: dict[str, str], **change: Any) -> dict[str, Any]:
    """Begin a discussion."""
    answer = await api.client.post("/discussions", json={**TALK, **change}, headers=header)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/discussions/{answer.json()['session']}"
    return dict(answer.json())


async def said(api: Api, session: str, step: str, document: Any) -> None:
    """Let a step of a session be done."""
    claim = await api.site.deps.ledger.claim(session, step)
    stored = StoredDocument(made_from="x", document=document.model_dump())
    await api.site.deps.ledger.store(claim, stored)


async def test_what_is_said_is_shown_and_streamed_to_the_end(api: Api) -> None:
    header = await api.caller()
    session = (await begun(api, header))["session"]
    await said(api, session, "p0.s01", TurnDocument(agent="critic", round=1, text="Tick."))
    await said(api, session, "p0.summary", SummaryDocument(summary="Tock."))
    seen = (await api.client.get(f"/discussions/{session}", headers=header)).json()
    assert (seen["state"], seen["turns"][0]["text"]) == ("done", "Tick.")
    assert seen["summary"]["summary"] == "Tock."
    path = f"/discussions/{session}/events"
    events = events_in(await api.client.get(path, headers=header))
    assert [data["kind"] for _, data in events] == ["state", "turn", "summary", "state"]
    resumed = {**header, "Last-Event-ID": events[1][0]}
    rest = events_in(await api.client.get(path, headers=resumed))
    assert rest == events[2:]
    ended = {**header, "Last-Event-ID": events[-1][0]}
    assert (await api.client.get(path, headers=ended)).status_code == 204


async def test_another_keys_discussion_does_not_exist_whatever_is_asked(api: Api) -> None:
    mine, theirs = await api.caller(), await api.caller()
    session = (await begun(api, mine))["session"]
    question = {"question": "Why?"}
    for method, path, body in (
        ("GET", "", None),
        ("GET", "/events", None),
        ("POST", "/questions", question),
        ("POST", "/end", None),
    ):
        url = f"/discussions/{session}{path}"
        refused = await api.client.request(method, url, json=body, headers=theirs)
        absent = await api.client.request(
            method, f"/discussions/absent{path}", json=body, headers=theirs
        )
        assert problem_in(refused, 404) == problem_in(absent, 404)
    assert (await api.client.get("/discussions", headers=theirs)).json() == {"sessions": []}
    [listed] = (await api.client.get("/discussions", headers=mine)).json()["sessions"]
    assert listed["session"] == session


async def test_a_discussion_is_no_run_and_a_run_no_discussion(api: Api) -> None:
    header = await api.caller()
    session, run = (await begun(api, header))["session"], await api.run(header)
    for path in ("", "/results", "/events"):
        problem_in(await api.client.get(f"/runs/{session}{path}", headers=header), 404)
    problem_in(await api.client.post(f"/runs/{session}/cancel", headers=header), 404)
    problem_in(await api.client.get(f"/discussions/{run}", headers=header), 404)


async def test_the_same_request_begins_one_discussion(api: Api) -> None:
    header = {**await api.caller(), "Idempotency-Key": "k"}
    assert (await begun(api, header))["session"] == (await begun(api, header))["session"]
    answer = await api.client.post("/discussions", json={**TALK, "rounds": 2}, headers=header)
    problem_in(answer, 422)
    assert len((await api.client.get("/discussions", headers=header)).json()["sessions"]) == 1


async def test_a_key_has_at_most_so_many_discussions(api: Api) -> None:
    header = {**await api.caller(), "Idempotency-Key": "k"}
    api.site.deps.sessions._each = 2
    first = (await begun(api, header))["session"]
    await begun(api, {**header, "Idempotency-Key": "l"})
    third = {**header, "Idempotency-Key": "m"}
    answer = await api.client.post("/discussions", json=TALK, headers=third)
    assert "2 sessions" in problem_in(answer, 429)["detail"]
    await api.site.deps.sessions.leave(first)
    await begun(api, third)


async def test_past_the_slots_a_discussion_waits_and_may_be_ended(api: Api) -> None:
    header = await api.caller()
    api.site.deps.sessions._slots = 1
    first, second = await begun(api, header), await begun(api, header)
    assert (first["position"], second["position"]) == (0, 1)
    assert second["state"] == "waiting"
    ended = await api.client.post(f"/discussions/{second['session']}/end", headers=header)
    assert ended.json()["state"] == "cancelled"
    events = await api.client.get(f"/discussions/{second['session']}/events", headers=header)
    assert events_in(events)[-1][1]["state"] == "finished"


async def test_upkeep_lets_in_one_that_is_not_written_yet_and_does_not_fall_over_it(
    api: Api,
) -> None:
    sessions = api.site.deps.sessions
    sessions._slots = 1
    for name in ("first", "unwritten"):
        await sessions.enter(name, "ada")
    await sessions.leave("first")
    await tend_sessions(api.site.deps)
    assert await sessions.active() == ["unwritten"]
    await tend_sessions(api.site.deps)


async def test_a_question_gets_a_round_of_its_own(api: Api) -> None:
    header = await api.caller()
    session = (await begun(api, header))["session"]
    path = f"/discussions/{session}/questions"
    asked = await api.client.post(path, json={"question": "Who winds it?"}, headers=header)
    assert asked.json() == {"session": session, "round": 2}
    for wrong in ({"question": " "}, {"question": "x" * 4001}, {}):
        problem_in(await api.client.post(path, json=wrong, headers=header), 422)


async def test_questions_at_once_get_a_round_each(api: Api) -> None:
    header = await api.caller()
    path = f"/discussions/{(await begun(api, header))['session']}"
    texts = [f"And clock {number}?" for number in range(6)]
    answers = await asyncio.gather(
        *(
            api.client.post(f"{path}/questions", json={"question": text}, headers=header)
            for text in texts
        )
    )
    rounds = {text: one.json()["round"] for text, one in zip(texts, answers, strict=True)}
    assert sorted(rounds.values()) == [2, 3, 4, 5, 6, 7]
    seen = (await api.client.get(path, headers=header)).json()["questions"]
    assert {one["question"]: one["round"] for one in seen} == rounds


async def test_a_question_that_is_sent_again_is_one_question(api: Api) -> None:
    header = {**await api.caller(), "Idempotency-Key": "k"}
    path = f"/discussions/{(await begun(api, header | {'Idempotency-Key': 'x'}))['session']}"
    for _ in range(2):
        answer = await api.client.post(
            f"{path}/questions", json={"question": "Why?"}, headers=header
        )
        assert answer.json()["round"] == 2
    other = await api.client.post(f"{path}/questions", json={"question": "How?"}, headers=header)
    problem_in(other, 422)
    assert len((await api.client.get(path, headers=header)).json()["questions"]) == 1


async def test_a_question_that_is_sent_again_after_its_answer_opens_nothing(api: Api) -> None:
    header = {**await api.caller(), "Idempotency-Key": "k"}
    session = (await begun(api, header | {"Idempotency-Key": "x"}))["session"]
    await said(api, session, "p0.s01", TurnDocument(agent="critic", round=1, text="Tick."))
    await said(api, session, "p0.summary", SummaryDocument(summary="Tock."))
    path, question = f"/discussions/{session}", {"question": "Why?"}
    await api.client.post(f"{path}/questions", json=question, headers=header)
    await said(api, session, "p0.s02", TurnDocument(agent="critic", round=2, text="Because."))
    await api.client.post(f"{path}/questions", json=question, headers=header)
    assert (await api.client.get(path, headers=header)).json()["state"] == "done"
    events = events_in(await api.client.get(f"{path}/events", headers=header))
    told = [(data["turn"]["text"], data["question"]) for _, data in events if data["turn"]]
    assert told == [("Tick.", ""), ("Because.", "Why?")]


async def test_a_question_after_the_end_needs_a_slot(api: Api) -> None:
    header, sessions = await api.caller(), api.site.deps.sessions
    session = (await begun(api, header))["session"]
    await said(api, session, "p0.s01", TurnDocument(agent="critic", round=1, text="Tick."))
    await said(api, session, "p0.summary", SummaryDocument(summary="Tock."))
    await tend_sessions(api.site.deps)
    path, question = f"/discussions/{session}/questions", {"question": "Why?"}
    sessions._slots = 0
    refused = problem_in(await api.client.post(path, json=question, headers=header), 429)
    assert "no slot is free" in refused["detail"]
    sessions._slots = 1
    assert (await api.client.post(path, json=question, headers=header)).json()["round"] == 2
    assert await sessions.active() == [session]


async def test_a_cancelled_discussion_takes_no_question(api: Api) -> None:
    header = await api.caller()
    api.site.deps.sessions._slots = 0
    session = (await begun(api, header))["session"]
    await api.client.post(f"/discussions/{session}/end", headers=header)
    answer = await api.client.post(
        f"/discussions/{session}/questions", json={"question": "Why?"}, headers=header
    )
    assert "cancelled" in problem_in(answer, 422)["detail"]


async def test_the_time_of_a_discussion_begins_when_it_is_let_in(api: Api) -> None:
    header, deps = await api.caller(), api.site.deps
    deps.sessions._slots = 1
    first, second = [(await begun(api, header))["session"] for _ in range(2)]
    long_ago = await deps.ledger.now_ms() - 600_000
    for session in (first, second):
        await deps.redis.hset(keys.RunKeys(session).run, "created_ms", long_ago)
    await deps.sessions.leave(first)
    await tend_sessions(deps)
    assert (await deps.sessions.state(second)).age_s < 300


async def test_agents_of_ones_own_take_part(api: Api) -> None:
    header = await api.caller()
    own = {"name": "beekeeper", "prompt": "You think in seasons."}
    assert (await begun(api, header, roles=[], agents=[own]))["agents"] == ["beekeeper"]
    mixed = await begun(api, header, roles=["critic", "beekeeper"], agents=[own])
    assert mixed["agents"] == ["critic", "beekeeper"]
    assert len((await begun(api, header, roles=[]))["agents"]) == 5


@pytest.mark.parametrize(
    ("change", "said_of"),
    [
        ({"topic": ""}, "#/topic"),
        ({"topic": " \n"}, "#/topic"),
        ({"topic": "x" * 4001}, "#/topic"),
        ({"rounds": 0}, "#/rounds"),
        ({"rounds": 51}, "#/rounds"),
        ({"order": "chaos"}, "#/order"),
        ({"seconds": -1}, "#/seconds"),
        ({"budget_tokens": -1}, "#/budget_tokens"),
        ({"user": "somebody"}, "#/user"),
        ({"agents": [{"name": "a", "prompt": "x" * 8001}]}, "#/agents/0/prompt"),
        ({"roles": ["wizard"]}, "wizard"),
        ({"roles": ["critic", "critic"]}, "twice"),
        ({"agents": [{"name": "a", "prompt": "x"}] * 2}, "same name"),
        ({"roles": ["critic"] * 13}, "#/roles"),
    ],
)
async def test_what_cannot_be_discussed_says_why(
    api: Api, change: dict[str, Any], said_of: str
) -> None:
    header = await api.caller()
    answer = await api.client.post("/discussions", json={**TALK, **change}, headers=header)
    problem = problem_in(answer, 422)
    named = [one["pointer"] for one in problem.get("errors", ())]
    assert said_of in named or said_of in problem["detail"]
