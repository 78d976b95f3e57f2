"""Many discussions at once: slots, the waiting room, and nothing of one in another."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from producer import discussions
from producer.logs import Wanted, newest
from producer.roles import BUILT_IN
from tasks.deps import Deps, open_deps
from tasks.errors import BadInputError, OverloadedError
from tasks.gate import keys as gate_keys
from tasks.gate.on_redis import RedisRules
from tasks.observing.looking import session_counts
from tasks.schemas.discussions import Discussion
from tasks.schemas.plan import Request
from tasks.settings import Settings
from tasks.store.api_keys import ApiKeys
from tests.api_client import api_on
from tests.chaos.farm import Farm, farm_in
from tests.sending import sending_to

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

SESSIONS, SLOTS = 120, 100
PROVIDER = "llm"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Start a stack whose model answers at once."""
    folder = tmp_path_factory.mktemp("discussions")
    with farm_in(folder, latency_s=0.1, slots=50, CASTLINE_SESSION_SLOTS=str(SLOTS)) as farm:
        farm.up()
        with sending_to(farm.store.url):
            yield farm


@pytest.fixture
async def deps(site: Farm) -> AsyncIterator[Deps]:
    """Open the ledger as a producer does, on an empty list of sessions."""
    opened = await open_deps(Settings(session_slots=SLOTS))
    yield opened
    await opened.close()


def asked(user: str, marker: str, *roles: str, rounds: int = 1) -> Request:
    """Build a request whose marker the simulated model echoes."""
    discussion = Discussion(
        topic=f"What is a good clock?\nmarker: {marker}",
        agents=tuple(BUILT_IN[role] for role in roles or ("scientist", "critic")),
        rounds=rounds,
        user=user,
    )
    return Request(kind="discussion", sources=(), discussion=discussion)


async def ended(deps: Deps, session: str, user: str) -> discussions.SessionView:
    """Wait until a session has ended."""
    async with asyncio.timeout(120):
        while True:
            seen = await discussions.view(deps, session, user=user)
            if seen.state not in ("waiting", "running"):
                return seen
            await asyncio.sleep(0.2)


async def test_120_discussions_of_120_keys_share_100_slots_and_nothing_else(
    site: Farm, deps: Deps
) -> None:
    made = [await ApiKeys(deps.redis).create("k", rpm=0, runs=0) for _ in range(SESSIONS)]
    tokens = {f"mark{number}x": token for number, (_, token) in enumerate(made)}
    await RedisRules(deps.redis).block(PROVIDER, 300)  # nobody is answered before all have begun
    with api_on(site.castline) as api:
        async with httpx.AsyncClient(base_url=api.url, timeout=60) as client:
            begun = await asyncio.gather(*(post(client, m, token) for m, token in tokens.items()))
            await deps.redis.hset(gate_keys.rates(PROVIDER), "blocked_until", 0)
            watching = asyncio.create_task(watch_active(deps))
            views = [
                await ended_at(client, one["session"], token)
                for one, token in zip(begun, tokens.values(), strict=True)
            ]
            watching.cancel()
            other = await client.get(f"/discussions/{begun[0]['session']}", headers=as_(made[1][1]))
    assert other.status_code == 404
    places = sorted(one["position"] for one in begun)
    assert places == [0] * SLOTS + list(range(1, SESSIONS - SLOTS + 1))
    assert max(MOST) <= SLOTS
    for view, marker in zip(views, tokens, strict=True):
        assert view["state"] == "done", view["failures"]
        text = " ".join([*(turn["text"] for turn in view["turns"]), str(view["summary"])])
        assert marker in text
        assert not any(word in text for word in tokens if word != marker)
    ids = {view["session"] for view in views}
    for session in ids:
        await check_log(deps, session, ids, [*tokens, *tokens.values()])
    waited = sorted((one for one in begun if one["position"]), key=lambda one: one["position"])
    let_in = [await began_ms(deps, one["session"]) for one in waited]
    assert let_in == sorted(let_in), "the waiting room was not first come, first served"
    await check_clean_up(deps, ids)


async def post(client: httpx.AsyncClient, marker: str, token: str) -> dict[str, Any]:
    """Begin a discussion whose marker the simulated model echoes."""
    body = {"topic": f"What is a good clock?\nmarker: {marker}", "rounds": 1,
            "roles": ["scientist", "critic"]}  # fmt: skip
    answer = await client.post("/discussions", json=body, headers=as_(token))
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def as_(token: str) -> dict[str, str]:
    """Name who asks."""
    return {"Authorization": f"Bearer {token}"}


async def ended_at(client: httpx.AsyncClient, session: str, token: str) -> dict[str, Any]:
    """Wait over HTTP until a session has ended."""
    async with asyncio.timeout(120):
        while True:
            answer = await client.get(f"/discussions/{session}", headers=as_(token))
            if answer.json()["state"] not in ("waiting", "running"):
                return dict(answer.json())
            await asyncio.sleep(0.2)


async def check_clean_up(deps: Deps, ids: set[str]) -> None:
    """Remove idle sessions; see that nothing is left of these, and that it was counted."""
    removed = await deps.sessions.forget_idle(-1000)
    assert set(removed.sessions) >= ids
    left = [key async for key in deps.redis.scan_iter() if any(name in key for name in ids)]
    assert left == []
    assert await deps.redis.zcard("castline:sessions-active") == 0
    assert await deps.redis.hlen("castline:sessions-users") == 0
    counts = await session_counts(deps)
    assert (counts.active, counts.waiting) == (0, 0)
    assert counts.expired >= SESSIONS
    assert counts.removed_keys == removed.keys >= SESSIONS * 5


async def check_log(deps: Deps, session: str, sessions: set[str], never: list[str]) -> None:
    """See that a session's log has all of its work, nobody else's, and nothing that was said."""
    async with asyncio.timeout(30):
        while True:  # a process ships every half second
            lines = [line.entry for line in await newest(deps, Wanted(run=session), count=500)]
            work = [entry for entry in lines if "step" in entry]
            if len([entry for entry in work if entry["event"] == "done"]) == 3:
                break
            await asyncio.sleep(0.1)
    assert all(entry["run"] == entry["session"] == session for entry in lines)
    assert all({"task_id", "service"} <= entry.keys() for entry in work)
    asked = [entry for entry in lines if entry["service"].startswith("api-")]
    assert len(work) + len(asked) == len(lines) > len(work) > 0
    text = json.dumps(lines)
    assert [other for other in sessions - {session} if other in text] == []
    assert [word for word in never if word in text] == []


MOST: list[int] = []


async def watch_active(deps: Deps) -> None:
    """Note how many sessions hold a slot, all the time."""
    while True:
        MOST.append(await deps.sessions.held())
        await asyncio.sleep(0.02)


async def began_ms(deps: Deps, session: str) -> int:
    """Read when a session was let in; its first event is that it waits."""
    events = await deps.reader.history(session)
    return next(event.at_ms for event in events if (event.step, event.state) == ("", "running"))


async def test_somebody_elses_session_does_not_exist(deps: Deps) -> None:
    view = await discussions.start(deps, asked("ada", "adasword"))
    with pytest.raises(BadInputError, match="no session"):
        await discussions.view(deps, view.session, user="bob")
    with pytest.raises(BadInputError, match="no session"):
        await discussions.ask(deps, view.session, "Who?", user="bob")
    with pytest.raises(BadInputError, match="no session"):
        await discussions.end(deps, view.session, user="bob")
    assert (await discussions.sessions_of(deps, "bob")) == []
    await ended(deps, view.session, "ada")


async def test_one_user_has_at_most_so_many_sessions_at_once(deps: Deps) -> None:
    deps.sessions._each = 2
    first = await discussions.start(deps, asked("eve", "one", rounds=30))
    second = await discussions.start(deps, asked("eve", "two", rounds=30))
    with pytest.raises(OverloadedError, match="2 sessions at once"):
        await discussions.start(deps, asked("eve", "three"))
    for view in (first, second):
        await discussions.end(deps, view.session, user="eve")
        done = await ended(deps, view.session, "eve")
        assert done.summary is not None
        assert done.summary.ended_by == "ended"
        assert len([turn for turn in done.turns if turn.skipped]) > 0


async def test_a_question_is_answered_by_everybody_after_the_end(deps: Deps) -> None:
    view = await discussions.start(deps, asked("kim", "kimsword"))
    await ended(deps, view.session, "kim")
    assert await discussions.ask(deps, view.session, "And who winds them?", user="kim") == 2
    seen = await ended(deps, view.session, "kim")
    assert [q.question for q in seen.questions] == ["And who winds them?"]
    assert {turn.agent for turn in seen.turns if turn.round == 2} == {"scientist", "critic"}
    assert all(turn.text for turn in seen.turns if turn.round == 2)


@pytest.mark.parametrize(
    ("roles", "stop", "ending"),
    [
        (("scientist", "critic"), {"budget_tokens": 600}, "budget"),
        (("scientist", "critic"), {"seconds": 3}, "time"),
        (("critic", "moderator"), {}, "consensus"),
    ],
)
async def test_a_discussion_that_is_stopped_ends_with_a_summary(
    deps: Deps, roles: tuple[str, ...], stop: dict[str, float], ending: str
) -> None:
    request = asked("lea", "leasword", *roles, rounds=50)
    assert request.discussion is not None
    stopped = request.discussion.model_copy(update=stop)
    view = await discussions.start(deps, request.model_copy(update={"discussion": stopped}))
    seen = await ended(deps, view.session, "lea")
    assert seen.summary is not None
    assert seen.summary.ended_by == ending
    assert 0 < len([turn for turn in seen.turns if not turn.skipped]) < 100


async def test_the_command_line_shows_a_session_and_says_what_it_is_not(site: Farm) -> None:
    run = site.castline.run
    started = run("discuss", "start", "--topic", "Night trains", "--role", "critic", "--user", "o",
                  "--rounds", "1")  # fmt: skip
    assert started.returncode == 0, started.stderr
    assert "critic · round 1" in started.stdout
    assert "Summary (AI-generated)" in started.stdout
    [listed] = site.castline.json("discuss", "list", "--user", "o")["sessions"]
    session = listed["session"]
    assert listed["summary"]["ended_by"] == "rounds"
    assert run("discuss", "show", session, "--user", "somebody").returncode == 2
    watched = run("watch", session)
    assert watched.returncode == 2
    assert "castline discuss show" in watched.stderr
    for wrong in (["--role", "wizard"], ["--rounds", "-1"], ["--order", "chaos"]):
        refused = run("discuss", "start", "--topic", "x", *wrong)
        assert refused.returncode == 2, wrong


async def test_who_follows_is_told_the_questions_and_that_it_was_cancelled(site: Farm) -> None:
    run = site.castline.run
    session = begun_by(site, "--rounds", "1")
    assert run("discuss", "ask", session, "Who winds it?", "--user", "p").returncode == 0
    followed = run("discuss", "show", session, "--follow", "--user", "p").stdout
    said = [
        line for line in followed.splitlines() if line in ("Question", "Who winds it?")
        or line.startswith(("critic ·", "Summary"))
    ]  # fmt: skip
    assert said == [
        "critic · round 1",
        "Summary (AI-generated), after all rounds",
        *("Question", "Who winds it?", "critic · round 2"),
    ]
    assert "had ended before" in run("discuss", "end", session, "--user", "p").stderr
    cancelled = begun_by(site, "--rounds", "30")
    run("cancel", cancelled)
    followed = run("discuss", "show", cancelled, "--follow", "--user", "p")
    assert (followed.returncode, "was cancelled" in followed.stderr) == (1, True)
    assert run("discuss", "ask", cancelled, "Why?", "--user", "p").returncode == 2


def begun_by(site: Farm, *options: str) -> str:
    """Begin a session of user p with one agent; returns its id."""
    begun = site.castline.json(
        "discuss", "start", "--topic", "Clocks", "--role", "critic", "--user", "p", "--detach",
        *options,
    )  # fmt: skip
    return str(begun["session"])
