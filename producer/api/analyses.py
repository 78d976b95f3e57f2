"""Topic analyses over HTTP: one round each, waited for (`POST /analyze`) or not (`POST /analyses`).

An analysis is a run: `producer.api.runs` shows, cancels and retries it, and its events are a run's.
Who wants more rounds asks again (docs/decisions/0025).
"""

import asyncio
import contextlib
from typing import Any

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from producer.analyses import Order, checked, config_of, plan_analysis, request_of
from producer.analysis_results import read_round, report
from producer.api.events import FROM_THE_START, events_of
from producer.api.fields import Number, Topic, WholeNumber, example
from producer.api.idempotency import IdempotencyKey, once
from producer.api.runs import make, status_of
from producer.api.site import Caller, OwnAnalysis, Site, ThisSite
from tasks.routing import Priority
from tasks.schemas.analyses import MOST_TOPICS, TopicResult
from tasks.schemas.api_keys import ApiKey
from tasks.schemas.frozen import Frozen
from tasks.schemas.plan import Language
from tasks.schemas.plan import Request as Asked
from tasks.schemas.status import RunStatus

WAIT_SHARE = 0.8  # of the time until an answer must have begun

router = APIRouter(tags=["analyses"])


class AnalysisBody(Frozen):
    """Topics to search for and analyse, once each; `concurrency` is model calls at once."""

    model_config = example({"topics": ["AI in farming", "Deep sea mining"]})

    topics: tuple[Topic, ...] = Field(min_length=1, max_length=MOST_TOPICS)
    concurrency: WholeNumber = Field(default=4, ge=1, le=1000)
    timeout: Number = Field(default=120, gt=0, le=3600, description="Seconds for a topic.")
    max_retries: WholeNumber = Field(default=2, ge=0, le=10)
    batch_size: WholeNumber = Field(default=0, ge=0, le=MOST_TOPICS)
    language: Language = "en"
    priority: Priority = "interactive"


class AnalysisReport(Frozen):
    """What came of the topics so far: `summary` and `results` as `castline analyze` writes them."""

    run_id: str
    state: str
    summary: dict[str, Any]
    results: tuple[TopicResult, ...]


def order_of(body: AnalysisBody) -> Order:
    """Turn a body into an order of one round. Raises BadInputError for topics that do not go."""
    return checked(
        body.topics,
        analysis={
            "timeout_s": body.timeout,
            "max_retries": body.max_retries,
            "batch_size": body.batch_size,
        },
        concurrency=body.concurrency,
        language=body.language,
        priority=body.priority,
    )


async def begin(
    site: Site, caller: ApiKey, *, key: str | None, what: str, body: AnalysisBody
) -> str:
    """Submit a round once; returns its run."""
    asked: Asked = request_of(order_of(body)).model_copy(update={"owner": caller.id})
    async with once(site, caller, key=key, what=what, body=body) as making:
        await make(site, caller, making, plan_analysis(making.run_id, asked))
    return making.run_id


@router.post("/analyses", status_code=202)
async def create_analysis(
    body: AnalysisBody,
    request: Request,
    response: Response,
    site: ThisSite,
    caller: Caller,
    key: IdempotencyKey = None,
) -> RunStatus:
    """Ask for topics to be analysed; the answer is a run, which goes on by itself."""
    run_id = await begin(site, caller, key=key, what="POST /analyses", body=body)
    response.headers["Location"] = str(request.url_for("show_analysis", run_id=run_id).path)
    return await status_of(site, run_id)


@router.post(
    "/analyze", responses={202: {"model": AnalysisReport, "description": "It goes on: ask again."}}
)
async def analyze(
    body: AnalysisBody,
    request: Request,
    response: Response,
    site: ThisSite,
    caller: Caller,
    key: IdempotencyKey = None,
) -> AnalysisReport:
    """Analyse topics and wait for the results.

    What takes too long goes on: the answer is 202, with what there is and a `Location` to look at.
    """
    run_id = await begin(site, caller, key=key, what="POST /analyze", body=body)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(WAIT_SHARE * site.deps.settings.api_timeout_s):
            async for _ in events_of(site, run_id, FROM_THE_START):
                pass
    told = await report_of(site, run_id)
    if told.state == "running":
        response.status_code = 202
        response.headers["Location"] = str(request.url_for("show_analysis", run_id=run_id).path)
    return told


@router.get("/analyses/{run_id}")
async def show_analysis(run_id: OwnAnalysis, site: ThisSite) -> AnalysisReport:
    """Show what came of an analysis so far; topics under way are not in it yet."""
    return await report_of(site, run_id)


async def report_of(site: Site, run_id: str) -> AnalysisReport:
    """Read an analysis as `castline analyze` writes it."""
    stands = await status_of(site, run_id)
    asked = await site.deps.request(run_id)
    assert asked.analysis is not None  # noqa: S101  # the kind was looked at
    one = await read_round(site.deps, run_id)
    order = Order(
        analysis=asked.analysis,
        concurrency=asked.max_concurrent or 1,
        language=asked.language,
        priority=asked.priority,
    )
    told = report([one], config=config_of(order), seconds=one.seconds)
    return AnalysisReport(run_id=run_id, state=stands.state, **told)
