"""The tasks of a topic: search, then analysis; thin wrappers over their stages."""

import time
from typing import Any

from celery import Task

from tasks.app import app
from tasks.deps import Deps
from tasks.errors import BadInputError
from tasks.execution import Outcome, perform
from tasks.llm.scope import CallTally
from tasks.origins import made_from
from tasks.outcomes import go_on_or_stop
from tasks.runtime import runtime
from tasks.schemas.analyses import Analysis, AnalysisDocument, SearchDocument
from tasks.schemas.calls import Ask
from tasks.schemas.plan import Request
from tasks.schemas.steps import StepName, search_step
from tasks.stages import topic as stage
from tasks.web_search import search_endpoint
from tasks.work import asker, models_of


@app.task(name="topic.search", bind=True)
def search(self: Task, run_id: str, step: str) -> None:
    """Search for what is new on a topic."""
    queue = self.request.delivery_info["routing_key"]
    go_on_or_stop(runtime().run(do_search, run_id, step, queue), step)


@app.task(name="topic.analyze", bind=True)
def analyze(self: Task, run_id: str, step: str) -> None:
    """Analyse a topic."""
    queue = self.request.delivery_info["routing_key"]
    go_on_or_stop(runtime().run(do_analysis, run_id, step, queue), step)


async def do_search(deps: Deps, run_id: str, step: str, queue: str) -> Outcome:
    """Search with the provider's own tool, else at the configured endpoint, else not at all."""
    request, analysis = await analysis_of(deps, run_id)
    topic = analysis.topics[StepName.parse(step).persona]
    model = search_model(deps, analysis)
    hashed = made_from("search", stage.VERSION, model, request.language, topic)

    async def work(tally: CallTally) -> dict[str, Any]:
        begun = time.monotonic()
        ask = asker(deps, request, run_id=run_id, step=step, made_from=hashed, tally=tally)
        if deps.provider is not None and deps.provider.searches:
            found = await provider_search(ask, topic, analysis, request, tally)
        else:
            found = await own_search(deps, topic, analysis)
        seconds = round(time.monotonic() - begun, 3)
        return found.model_copy(update={"seconds": seconds}).model_dump(mode="json")

    return await perform(
        deps, run_id, step, made_from=hashed, queue=queue, work=work, attempts=ONCE
    )


def search_model(deps: Deps, analysis: Analysis) -> str:
    """Name the model that searches: the one asked for, else the provider's for tools."""
    own = deps.provider.model_for("tool") if deps.provider is not None else ""
    return analysis.tool_model or own


ONCE = 1  # a topic's retries are its calls' own: --max-retries says how many


async def provider_search(
    ask: Ask, topic: str, analysis: Analysis, request: Request, tally: CallTally
) -> SearchDocument:
    """Let the provider search; it may not say how much it found, its report does then."""
    findings = await stage.search(ask, topic, analysis, request.language)
    return SearchDocument(
        source="provider", results=tally.web_results or len(findings), findings=tuple(findings)
    )


async def own_search(deps: Deps, topic: str, analysis: Analysis) -> SearchDocument:
    """Search at one's own endpoint, if there is one."""
    url = deps.settings.search_url
    if not url:
        return SearchDocument(source="none")
    results, findings = await search_endpoint(url, topic, timeout_s=analysis.timeout_s)
    return SearchDocument(source="endpoint", results=results, findings=tuple(findings))


async def do_analysis(deps: Deps, run_id: str, step: str, queue: str) -> Outcome:
    """Analyse a topic with what its search found."""
    request, analysis = await analysis_of(deps, run_id)
    persona = StepName.parse(step).persona
    topic, before = analysis.topics[persona], search_step(persona)
    stored = (await deps.reader.documents(run_id, [before])).get(before)
    found = SearchDocument.model_validate(stored.document) if stored else None
    model = analysis.chat_model or models_of(deps).chat
    rests_on = found.model_dump(mode="json", exclude={"seconds"}) if found else None
    hashed = made_from("analysis", stage.VERSION, model, request.language, topic, rests_on)

    async def work(tally: CallTally) -> dict[str, Any]:
        if found is None:
            raise BadInputError("there is no search to rest on")
        begun = time.monotonic()
        ask = asker(deps, request, run_id=run_id, step=step, made_from=hashed, tally=tally)
        text = await stage.analyse(ask, topic, analysis, found, request.language)
        document = AnalysisDocument(
            topic=topic,
            analysis=text,
            results=found.results,
            seconds=round(found.seconds + time.monotonic() - begun, 3),
            worker=deps.ledger.owner,
            at_ms=await deps.ledger.now_ms(),
        )
        return document.model_dump(mode="json")

    return await perform(
        deps, run_id, step, made_from=hashed, queue=queue, work=work, attempts=ONCE
    )


async def analysis_of(deps: Deps, run_id: str) -> tuple[Request, Analysis]:
    """Read what a run analyses. Raises BadInputError for a run that analyses nothing."""
    request = await deps.request(run_id)
    if request.analysis is None:
        raise BadInputError(f"run {run_id!r} is no analysis")
    return request, request.analysis
