"""Discussions over HTTP: begin one, see what was said, ask, end; a session's user is the key."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from producer import discussions
from producer.api.fields import Number, Topic, WholeNumber, example
from producer.api.idempotency import IdempotencyKey, made, once
from producer.api.site import Caller, OwnSession, ThisSite
from producer.discussions import SessionView
from producer.roles import choose
from tasks.errors import BadInputError
from tasks.routing import Priority
from tasks.schemas.api_keys import ApiKey
from tasks.schemas.discussions import Agent, Discussion, Order
from tasks.schemas.frozen import Frozen
from tasks.schemas.plan import Language
from tasks.schemas.plan import Request as Asked

MOST_AGENTS, MOST_ROUNDS = 12, 50

router = APIRouter(prefix="/discussions", tags=["discussions"])


class DiscussionBody(Frozen):
    """A discussion: a topic, who takes part, when it stops (0 = no limit).

    `roles` are names, of ours or of your own `agents`; none are all of your own, else five of ours.
    """

    model_config = example({"topic": "Should a town keep its clock tower?", "rounds": 1})

    topic: Topic
    roles: tuple[str, ...] = Field(default=(), max_length=MOST_AGENTS)
    agents: tuple[Agent, ...] = Field(default=(), max_length=MOST_AGENTS)
    rounds: WholeNumber = Field(default=3, ge=1, le=MOST_ROUNDS)
    order: Order = "turns"
    budget_tokens: WholeNumber = Field(default=0, ge=0, le=10**9)
    seconds: Number = Field(default=0, ge=0, le=7 * 86400)
    language: Language = "en"
    priority: Priority = "interactive"


class QuestionBody(Frozen):
    """A question from outside, put before all agents."""

    question: Topic


class Asking(Frozen):
    """The round that answers a question."""

    session: str
    round: int


class SessionList(Frozen):
    """Discussions, newest first."""

    sessions: tuple[SessionView, ...]


def user_of(caller: ApiKey) -> str:
    """Name the user that a key's sessions belong to; nobody logs in under such a name."""
    return f"key:{caller.id}"


@router.post("", status_code=202)
async def begin(
    body: DiscussionBody,
    request: Request,
    response: Response,
    site: ThisSite,
    caller: Caller,
    key: IdempotencyKey = None,
) -> SessionView:
    """Begin a discussion; past the cluster's slots it waits for one, `position` says where."""
    asked = asked_for(body, caller)
    async with once(site, caller, key=key, what="POST /discussions", body=body) as making:
        if not await made(site, making):
            await discussions.start(site.deps, asked, run_id=making.run_id)
    response.headers["Location"] = str(request.url_for("show_one", run_id=making.run_id).path)
    return await discussions.view(site.deps, making.run_id, user=user_of(caller))


def asked_for(body: DiscussionBody, caller: ApiKey) -> Asked:
    """Turn a body into a request. Raises BadInputError for roles that do not go."""
    own = {agent.name: agent for agent in body.agents}
    if len(own) < len(body.agents):
        raise BadInputError("two agents have the same name")
    discussion = Discussion(
        topic=body.topic.strip(),
        agents=choose(body.roles, own),
        rounds=body.rounds,
        order=body.order,
        budget_tokens=body.budget_tokens,
        seconds=body.seconds,
        user=user_of(caller),
    )
    return Asked(
        kind="discussion",
        sources=(),
        language=body.language,
        priority=body.priority,
        discussion=discussion,
        owner=caller.id,
    )


@router.get("")
async def list_sessions(
    site: ThisSite,
    caller: Caller,
    limit: Annotated[int, Query(ge=1, le=100, description="How many, newest first.")] = 20,
) -> SessionList:
    """List this key's discussions, newest first."""
    found = await discussions.sessions_of(site.deps, user_of(caller), limit=limit)
    return SessionList(sessions=tuple(found))


@router.get("/{run_id}")
async def show_one(run_id: OwnSession, site: ThisSite, caller: Caller) -> SessionView:
    """Show a discussion: what was said, what came of it, its place in the waiting room."""
    return await discussions.view(site.deps, run_id, user=user_of(caller))


@router.post("/{run_id}/questions", status_code=202)
async def ask(
    run_id: OwnSession,
    body: QuestionBody,
    site: ThisSite,
    caller: Caller,
    key: IdempotencyKey = None,
) -> Asking:
    """Put a question before all agents, in a round of its own, even after the end."""
    what = f"POST /discussions/{run_id}/questions"
    async with once(site, caller, key=key, what=what, body=body) as making:
        number = await discussions.ask(
            site.deps, run_id, body.question, user=user_of(caller), question_id=making.run_id
        )
    return Asking(session=run_id, round=number)


@router.post("/{run_id}/end")
async def end(run_id: OwnSession, site: ThisSite, caller: Caller) -> SessionView:
    """Bring a discussion to its end, with a summary; one that waits is cancelled."""
    await discussions.end(site.deps, run_id, user=user_of(caller))
    return await discussions.view(site.deps, run_id, user=user_of(caller))
