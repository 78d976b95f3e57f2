"""What each document is made from, as a hash: stage, prompt version, model and inputs; pure.

Workers store it with the document; `producer.changes` works it out anew to see what has changed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from tasks.schemas.pictures import PictureRequest
from tasks.schemas.plan import Request
from tasks.stages.assemble import VERSION as ASSEMBLE_VERSION
from tasks.stages.registry import STAGES

Contents = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Models:
    """The models that a worker asks: one that writes, one that looks at pictures."""

    chat: str
    vision: str = ""


def made_from(stage: str, version: str, model: str, *inputs: object) -> str:
    """Hash everything that a document depends on."""
    text = json.dumps([stage, version, model, *inputs], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def stage_origin(
    part: str, *, models: Models, request: Request, persona: int, contents: Contents
) -> str:
    """Hash what one of the seven stages is made from; `contents` are the documents it reads.

    The model that looks at the picture counts where there is one to look at.
    """
    stage, source = STAGES[part], request.sources[persona]
    looks = part == "core" and source.image_blob
    return made_from(
        stage.name,
        stage.version,
        f"{models.chat} {models.vision}" if looks else models.chat,
        request.language,
        source.model_dump(mode="json"),
        contents,
    )


def card_origin(*, run_id: str, request: Request, contents: Contents) -> str:
    """Hash what a card is assembled from: the documents of all seven stages."""
    return made_from("assemble", ASSEMBLE_VERSION, "", request.language, run_id, contents)


def calendar_origin(
    *, models: Models, request: Request, given: str, days: tuple[str, ...], card: Mapping[str, Any]
) -> str:
    """Hash what a calendar is made from; one that is `given` asks no model."""
    stage, model = STAGES["calendar"], "" if given else models.chat
    return made_from(stage.name, stage.version, model, request.language, days, given, card)


def given_calendar(request: Request, persona: int) -> str:
    """Find the user's calendar for a character, "" when there is none."""
    if not request.calendars:
        return ""
    return request.calendars[persona if len(request.calendars) > 1 else 0]


def calendar_days(request: Request) -> tuple[str, ...]:
    """List the days of a request's tweets, as YYYY-MM-DD."""
    first = date.fromisoformat(request.first_day)
    return tuple((first + timedelta(days=i)).isoformat() for i in range(request.tweets))


def card_hash(card: Mapping[str, Any]) -> str:
    """Hash a card once for all the tweets that are made from it."""
    return made_from("card", "", "", card)


def tweet_origin(
    *, models: Models, request: Request, card: str, slot: int, day: Mapping[str, Any]
) -> str:
    """Hash what a tweet is made from: `card` is the card's hash, `day` its calendar entry."""
    stage = STAGES["tweet"]
    return made_from(stage.name, stage.version, models.chat, request.language, card, slot, day)


def picture_origin(picture: PictureRequest, *, renderer: str) -> str:
    """Hash what a picture is drawn from."""
    digest = hashlib.sha256(picture.model_dump_json().encode())
    digest.update(renderer.encode())
    return digest.hexdigest()[:32]
