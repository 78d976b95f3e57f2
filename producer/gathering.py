"""Gathers a run from ledger and blobs into what the exporter writes."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from producer.standing import standing
from tasks.deps import Deps
from tasks.schemas.export import PersonaExport, RunExport, TweetExport
from tasks.schemas.ledger import RunSnapshot, StoredDocument
from tasks.schemas.steps import (
    StepName,
    calendar_step,
    chain_step,
    picture_step,
    portrait_step,
    tweet_step,
)

Documents = dict[str, StoredDocument]
EXPORTED = ("assemble", "calendar")


async def gather(deps: Deps, snapshot: RunSnapshot, *, out: Path) -> RunExport:
    """Read everything that a run's folder shows; what is missing stays None.

    Raises ServiceAwayError when Redis or the blob store is away.
    """
    documents = await exported_documents(deps, snapshot)
    personas = [
        await persona_export(deps, snapshot, documents, index)
        for index in range(len(snapshot.request.sources))
    ]
    created = datetime.fromtimestamp(snapshot.created_ms / 1000, UTC)
    return RunExport(
        status=standing(snapshot, out=str(out)),
        kind=snapshot.request.kind,
        language=snapshot.request.language,
        created=created.isoformat(timespec="seconds"),
        provider=models_of(documents),
        personas=tuple(personas),
    )


async def exported_documents(deps: Deps, snapshot: RunSnapshot) -> Documents:
    """Read the documents that end up in the folder, for all characters at once."""
    wanted = [step for step in snapshot.rows if is_exported(step)]
    for index in range(len(snapshot.request.sources)):
        wanted += [tweet_step(index, slot) for slot in slots(snapshot, index)]
    return await deps.reader.documents(snapshot.run_id, list(dict.fromkeys(wanted)))


def is_exported(step: str) -> bool:
    """Whether a step's document is shown by itself; the stages' are inside the card."""
    name = StepName.parse(step)
    return name.part in EXPORTED or name.is_tweet or name.is_picture


def slots(snapshot: RunSnapshot, index: int) -> list[int]:
    """List a character's tweet numbers, from its tweets or its pictures."""
    names = (StepName.parse(step) for step, row in snapshot.rows.items() if row.persona == index)
    return sorted({name.slot for name in names if name.slot})


async def persona_export(
    deps: Deps, snapshot: RunSnapshot, documents: Documents, index: int
) -> PersonaExport:
    """Gather one character."""
    source = snapshot.request.sources[index]
    calendar = documents.get(calendar_step(index))
    return PersonaExport(
        index=index,
        label=source.label,
        card=card_of(snapshot, documents, index),
        portrait=await portrait_of(deps, snapshot, documents, index),
        calendar=calendar.document if calendar else None,
        tweets=tuple(
            [
                await tweet_export(deps, snapshot, documents, index, slot)
                for slot in slots(snapshot, index)
            ]
        ),
        error=error_of(snapshot, index),
    )


def card_of(snapshot: RunSnapshot, documents: Documents, index: int) -> dict[str, Any] | None:
    """Find a character's card: assembled, or the one that was given."""
    stored = documents.get(chain_step(index, "assemble"))
    if stored is not None:
        return stored.document
    given = snapshot.request.sources[index].card_json
    return dict(json.loads(given)) if given else None


async def portrait_of(
    deps: Deps, snapshot: RunSnapshot, documents: Documents, index: int
) -> bytes | None:
    """Find a character's portrait: the user's picture, else the rendered one."""
    source = snapshot.request.sources[index]
    if source.image_blob:
        return await deps.blobs.get_async(source.image_blob)
    return await picture_bytes(deps, documents.get(portrait_step(index)))


async def picture_bytes(deps: Deps, stored: StoredDocument | None) -> bytes | None:
    """Read a drawn picture's bytes."""
    return await deps.blobs.get_async(str(stored.document["blob"])) if stored else None


async def tweet_export(
    deps: Deps, snapshot: RunSnapshot, documents: Documents, index: int, slot: int
) -> TweetExport:
    """Gather one tweet with its picture."""
    step, picture = tweet_step(index, slot), picture_step(index, slot)
    stored = documents.get(step)
    written = stored.document if stored else {}
    return TweetExport(
        slot=slot,
        date=str(written.get("date", "")),
        text=str(written.get("text", "")),
        image_prompt=str(written.get("image_prompt", "")),
        image=await picture_bytes(deps, documents.get(picture)),
        status=snapshot.states.get(step, "done" if stored else "waiting"),
        model=stored.usage.model if stored else "",
        picture_status=snapshot.states.get(picture, ""),
        error=snapshot.errors.get(step, "") or snapshot.errors.get(picture, ""),
    )


def error_of(snapshot: RunSnapshot, index: int) -> str:
    """Find why a character's chain ended, if it did."""
    for step, row in snapshot.rows.items():
        if row.persona == index and row.kind == "stage" and step in snapshot.errors:
            return f"{StepName.parse(step).part}: {snapshot.errors[step]}"
    return ""


def models_of(documents: Documents) -> str:
    """Name the models that really wrote, most used first."""
    names = [stored.usage.model for stored in documents.values() if stored.usage.model]
    return ", ".join(sorted(set(names), key=names.count, reverse=True))
