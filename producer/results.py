"""What a run has made, as one value for programs: characters, their tweets, where pictures are.

A folder to look at is `producer.export`'s; picture bytes stay in the blob store.
"""

from typing import Any

from producer.gathering import Documents, card_of, error_of, exported_documents, slots
from producer.standing import standing
from tasks.deps import Deps
from tasks.errors import BadInputError
from tasks.schemas.frozen import Frozen
from tasks.schemas.ledger import RunSnapshot
from tasks.schemas.status import RunStatus
from tasks.schemas.steps import StepName, calendar_step, picture_step, portrait_step, tweet_step


class TweetResult(Frozen):
    """One tweet; `picture` names the picture that was drawn for it, "" while there is none."""

    slot: int
    date: str
    text: str
    image_prompt: str
    status: str
    model: str
    picture: str = ""
    error: str = ""


class CharacterResult(Frozen):
    """One character: `card` is a Character Card V2, None while or because there is none."""

    index: int
    label: str
    name: str
    card: dict[str, Any] | None
    calendar: dict[str, Any] | None
    portrait: str
    tweets: tuple[TweetResult, ...]
    error: str = ""


class RunResult(Frozen):
    """Everything that a run has made so far; all of it is AI-generated."""

    status: RunStatus
    characters: tuple[CharacterResult, ...]
    ai_generated: bool = True

    @property
    def success(self) -> bool:
        """Whether all of it was made."""
        return self.status.state == "done"


async def result_of(deps: Deps, snapshot: RunSnapshot) -> RunResult:
    """Read what a run has made so far."""
    documents = await exported_documents(deps, snapshot)
    return RunResult(
        status=standing(snapshot),
        characters=tuple(
            character_result(snapshot, documents, index)
            for index in range(len(snapshot.request.sources))
        ),
    )


def character_result(snapshot: RunSnapshot, documents: Documents, index: int) -> CharacterResult:
    """Gather one character."""
    source = snapshot.request.sources[index]
    card, calendar = card_of(snapshot, documents, index), documents.get(calendar_step(index))
    portrait = portrait_step(index)
    return CharacterResult(
        index=index,
        label=source.label,
        name=str(card["data"]["name"]) if card else snapshot.names.get(index, ""),
        card=card,
        calendar=calendar.document if calendar else None,
        portrait=portrait if portrait in documents or source.image_blob else "",
        tweets=tuple(
            tweet_result(snapshot, documents, index, slot) for slot in slots(snapshot, index)
        ),
        error=error_of(snapshot, index),
    )


def tweet_result(snapshot: RunSnapshot, documents: Documents, index: int, slot: int) -> TweetResult:
    """Gather one tweet."""
    step, picture = tweet_step(index, slot), picture_step(index, slot)
    stored = documents.get(step)
    written = stored.document if stored else {}
    return TweetResult(
        slot=slot,
        date=str(written.get("date", "")),
        text=str(written.get("text", "")),
        image_prompt=str(written.get("image_prompt", "")),
        status=snapshot.states.get(step, "done" if stored else "waiting"),
        model=stored.usage.model if stored else "",
        picture=picture if picture in documents else "",
        error=snapshot.errors.get(step, "") or snapshot.errors.get(picture, ""),
    )


async def picture_of(deps: Deps, run_id: str, step: str) -> bytes:
    """Read a picture's PNG: a step of `picture` or `portrait`.

    Raises BadInputError when there is no such picture (yet), ServiceAwayError when the blob store
    is away.
    """
    missing = BadInputError(
        f"no picture {step!r} in {run_id}", hint="`picture` and `portrait` of its results name them"
    )
    try:
        name = StepName.parse(step)
    except BadInputError:
        raise missing from None
    if not name.is_picture:
        raise missing
    found = (await deps.reader.documents(run_id, [step])).get(step)
    key = str(found.document["blob"]) if found else ""
    if not key and name.part == "portrait":
        sources = (await deps.reader.request(run_id)).sources
        key = sources[name.persona].image_blob if name.persona < len(sources) else ""
    data = await deps.blobs.get_async(key) if key else None
    if data is None:
        raise missing
    return data
