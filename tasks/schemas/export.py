"""A finished run, gathered from ledger and blobs, as the exporter and the gallery read it."""

from typing import Any

from tasks.schemas.frozen import Frozen
from tasks.schemas.status import RunStatus


class TweetExport(Frozen):
    """One tweet; `image` is PNG bytes or None. `status` is the tweet's step state.

    `picture_status` is the picture's state, "" when no picture was asked for.
    """

    slot: int
    date: str
    text: str
    image_prompt: str
    image: bytes | None
    status: str
    model: str
    picture_status: str = ""
    error: str = ""


class PersonaExport(Frozen):
    """One character: `card` is a Character Card V2, None when its chain failed.

    `portrait` is PNG bytes without the card embedded, None when one is to be drawn.
    """

    index: int
    label: str
    card: dict[str, Any] | None
    portrait: bytes | None
    calendar: dict[str, Any] | None
    tweets: tuple[TweetExport, ...]
    error: str = ""


class RunExport(Frozen):
    """Everything that a run's folder is written from."""

    status: RunStatus
    kind: str
    language: str
    created: str
    provider: str
    personas: tuple[PersonaExport, ...]
