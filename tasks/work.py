"""What every text step shares: its models, its way to them, its inputs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from tasks.deps import Deps
from tasks.errors import ConfigurationError, ServiceAwayError
from tasks.images.intake import data_url, read_picture
from tasks.llm.deadline import Deadline
from tasks.llm.keeping import KeepingCompleter
from tasks.llm.pending import KnownReplies
from tasks.llm.replaying import ReplayingCompleter
from tasks.llm.scope import CallScope, CallTally
from tasks.llm.structured import ask_structured
from tasks.origins import Models
from tasks.routing import phase_of, rank_of
from tasks.schemas.calls import Ask, Reply, StructuredCall
from tasks.schemas.ledger import StoredDocument
from tasks.schemas.plan import Request, Source
from tasks.schemas.steps import StepName, chain_step
from tasks.stages.registry import document_of
from tasks.store.answers import StepAnswers

Documents = Mapping[str, StoredDocument]


def models_of(deps: Deps) -> Models:
    """Name the models that documents are made with."""
    if deps.provider is None:
        return Models(chat="")
    return Models(chat=deps.provider.model, vision=deps.provider.vision_model)


def asker(
    deps: Deps, request: Request, *, run_id: str, step: str, made_from: str, tally: CallTally
) -> Ask:
    """Build the function by which a step's stage asks the model."""
    analysis = request.analysis
    scope = CallScope(
        key=f"{run_id}|{step}|{made_from}",
        run_id=run_id,
        run_slots=request.max_concurrent or 0,
        rank=rank_of(request.priority),
        flow=f"{run_id}|{phase_of(StepName.parse(step).part)}",
        tally=tally,
        deadline=Deadline(analysis.timeout_s) if analysis else None,
        most_retries=analysis.max_retries if analysis else None,
    )

    completer = replaying(deps, run_id, step) if request.batch_api else keeping(deps, run_id, step)

    async def ask(call: StructuredCall[Reply]) -> Reply:
        if completer is None:
            raise ConfigurationError("this worker calls no model")
        return await ask_structured(completer, call, scope, turns=deps.turns)

    return ask


def keeping(deps: Deps, run_id: str, step: str) -> KeepingCompleter | None:
    """Build what makes a step's calls and keeps their answers while it makes several."""
    if deps.completer is None:
        return None
    return KeepingCompleter(deps.completer, StepAnswers(deps.redis, run_id, step))


def replaying(deps: Deps, run_id: str, step: str) -> ReplayingCompleter | None:
    """Build what answers a step's calls from the replies of its batches."""

    async def load() -> KnownReplies:
        return KnownReplies(*await deps.batch_calls.replies(run_id, step))

    return ReplayingCompleter(deps.provider, load) if deps.provider else None


async def read_parts(
    deps: Deps, run_id: str, persona: int, parts: Sequence[str]
) -> dict[str, StoredDocument]:
    """Read a character's documents by part; those that are not there yet are left out."""
    steps = {chain_step(persona, part): part for part in parts}
    found = await deps.reader.documents(run_id, list(steps))
    return {steps[step]: stored for step, stored in found.items()}


def contents(documents: Documents) -> dict[str, Any]:
    """Reduce documents to what counts for those that are made from them."""
    return {part: stored.document for part, stored in documents.items()}


def parsed(documents: Documents) -> dict[str, BaseModel]:
    """Turn stored documents back into their types."""
    return {part: document_of(part, stored.document) for part, stored in documents.items()}


async def picture_of(deps: Deps, source: Source) -> str | None:
    """Read the user's picture as a data URL for a vision model; None when there is none.

    Raises ServiceAwayError when the blob is not there.
    """
    if not source.image_blob:
        return None
    data = await deps.blobs.get_async(source.image_blob)
    if data is None:
        raise ServiceAwayError(
            "the character's picture is not in the blob store",
            hint="all machines of a run need the same CASTLINE_BLOBS",
        )
    return data_url(read_picture(data, label=source.label))


async def card_of(deps: Deps, run_id: str, persona: int, request: Request) -> dict[str, Any] | None:
    """Find a character's card: the one that was given, else the assembled one."""
    given = request.sources[persona].card_json
    if given:
        return dict(json.loads(given))
    found = await deps.reader.documents(run_id, [chain_step(persona, "assemble")])
    return next((stored.document for stored in found.values()), None)
