"""What callers send to ask for characters: checked here, turned into an order."""

import json
from typing import Annotated, Any

from pydantic import Base64Bytes, Field, model_validator

from producer.api.fields import Truth, WholeNumber, example
from producer.inputs import LONGEST_BRIEF, Origin, brief, spread
from producer.orders import Order
from producer.request import MOST_TWEETS, build_request
from tasks.errors import BadInputError
from tasks.images.intake import read_picture
from tasks.routing import Priority
from tasks.schemas.frozen import Frozen
from tasks.schemas.plan import Language
from tasks.stages.calendar import parse_calendar
from tasks.stages.read_card import read_card

MOST_SOURCES, MOST_PERSONAS, MOST_ITEMS = 100, 1000, 20_000


class CharacterBody(Frozen):
    """Where a character comes from: a text, a picture (base64), or a finished card; one of them."""

    text: str = Field(default="", max_length=LONGEST_BRIEF)
    image: Base64Bytes | None = None
    card: dict[str, Any] | None = None
    label: str = Field(default="", max_length=100)

    @model_validator(mode="after")
    def check_one(self) -> "CharacterBody":
        """Refuse none and several."""
        given = [bool(self.text.strip()), self.image is not None, self.card is not None]
        if sum(given) != 1:
            raise ValueError("give exactly one of text, image and card")
        return self


class RunBody(Frozen):
    """A run: characters, their tweets, the tweets' pictures.

    `personas` is how many characters in all, spread over those given; `tweets` are for each of
    them, one a day, 0 for none. `calendars` is one for all characters, or one for each.
    """

    model_config = example({"characters": [{"text": "A keeper of clocks."}], "tweets": 2})

    characters: tuple[CharacterBody, ...] = Field(min_length=1, max_length=MOST_SOURCES)
    personas: WholeNumber | None = Field(default=None, ge=1, le=MOST_PERSONAS)
    tweets: WholeNumber = Field(default=10, ge=0, le=MOST_TWEETS)
    calendars: tuple[dict[str, Any], ...] = Field(default=(), max_length=MOST_SOURCES)
    images: Truth = False
    language: Language = "en"
    priority: Priority = "interactive"
    max_concurrent: Annotated[WholeNumber, Field(ge=1, le=1000)] | None = None
    batch_api: Truth = False
    seed: WholeNumber = Field(default=0, ge=0, lt=2**31)


def order_of(body: RunBody) -> Order:
    """Turn a body into an order; decodes pictures, so do it off the loop. Raises BadInputError."""
    origins = [origin_of(given, number) for number, given in enumerate(body.characters, 1)]
    if body.personas is not None and body.personas < len(origins):
        raise BadInputError(f"personas is {body.personas}, and {len(origins)} characters are given")
    if not body.tweets and any(origin.card_json for origin in origins):
        raise BadInputError("a finished card and no tweets: there is nothing to make")
    wanted = spread(origins, body.personas)
    if len(wanted) * max(1, body.tweets) > MOST_ITEMS:
        raise BadInputError(
            f"{len(wanted)} characters with {body.tweets} tweets are too many for one run",
            hint=f"at most {MOST_ITEMS:,} tweets; send several runs",
        )
    if len(body.calendars) not in (0, 1, len(wanted)):
        raise BadInputError(
            f"{len(body.calendars)} calendars for {len(wanted)} characters",
            hint="give one for all, or one for each",
        )
    draft = build_request(
        kind_of(body),
        sources=(),
        calendars=tuple(calendar_of(body, number) for number in range(len(body.calendars))),
        **body.model_dump(exclude={"characters", "personas", "calendars"}),
    )
    return Order(draft=draft, spread=tuple(wanted))


def kind_of(body: RunBody) -> str:
    """Name what the run is, as `castline runs` lists it."""
    if all(given.card is not None for given in body.characters):
        return "tweets"
    return "run" if body.tweets else "persona"


def origin_of(given: CharacterBody, number: int) -> Origin:
    """Check one character's source. Raises BadInputError that names it."""
    label = given.label or f"character {number}"
    if given.image is not None:
        return Origin(label=label, picture=read_picture(given.image, label=label))
    if given.card is not None:
        card = read_card(json_bytes(given.card, label), label=label)
        return Origin(label=label, card_json=json.dumps(card, ensure_ascii=False))
    return brief(given.text, label=label)


def calendar_of(body: RunBody, number: int) -> str:
    """Check one calendar. Raises BadInputError that names it."""
    label = f"calendar {number + 1}"
    text = json_bytes(body.calendars[number], label).decode()
    parse_calendar(text, label=label, days=body.tweets)
    return text


def json_bytes(value: dict[str, Any], label: str) -> bytes:
    """Write a value as JSON. Raises BadInputError for NaN, infinity and half a surrogate pair."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        raise BadInputError(f"{label} holds a number or a text that JSON does not have") from None
