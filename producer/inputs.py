"""Reads what the user names on the command line; every refusal says what, where and what to do.

Pictures are checked here and uploaded by the caller; nothing is written or sent.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from tasks.errors import BadInputError
from tasks.images.intake import IntakePicture, read_picture
from tasks.schemas.plan import Source
from tasks.stages.calendar import HINT as CALENDAR_HINT
from tasks.stages.calendar import parse_calendar
from tasks.stages.read_card import read_card

LONGEST_BRIEF = 20_000
LARGEST_FILE_BYTES = 25 * 1024 * 1024
TWEETS_HINT = 'it looks like {"persona": …, "tweets": […]}'


@dataclass(frozen=True, kw_only=True)
class Origin:
    """One brief, text, picture or card as given; `picture` is checked but not yet stored."""

    label: str
    text: str = ""
    picture: IntakePicture | None = None
    card_json: str = ""


def read_bytes(path: Path, *, what: str) -> bytes:
    """Read a file. Raises BadInputError when it is absent, a folder, unreadable or too large."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE_BYTES + 1)  # a pipe or a device tells no size
    except FileNotFoundError:
        raise BadInputError(f"{what} {path} does not exist", hint="check the path") from None
    except IsADirectoryError:
        raise BadInputError(f"{what} {path} is a folder", hint="name a file in it") from None
    except PermissionError:
        raise BadInputError(f"{what} {path} may not be read", hint="check its rights") from None
    except OSError as error:
        raise BadInputError(
            f"{what} {path} cannot be read: {error.strerror or error}", hint="check the path"
        ) from None
    if len(data) > LARGEST_FILE_BYTES:
        raise BadInputError(
            f"{what} {path} is too large",
            hint=f"at most {LARGEST_FILE_BYTES // 1024 // 1024} MB are read; make it smaller",
        )
    return data


def read_text(path: Path, *, what: str, hint: str) -> str:
    """Read a text file; `hint` tells what belongs into an empty one.

    Raises BadInputError when it is absent, empty or not UTF-8.
    """
    try:
        text = read_bytes(path, what=what).decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise BadInputError(
            f"{what} {path} is not UTF-8 text (byte {error.start})", hint="save it as UTF-8"
        ) from None
    if not text:
        raise BadInputError(f"{what} {path} is empty", hint=hint)
    return text


def read_brief(path: Path) -> Origin:
    """Read a Markdown brief. Raises BadInputError."""
    text = read_text(path, what="brief", hint="write a few lines about the character")
    return brief(text, label=path.name)


def brief(text: str, *, label: str) -> Origin:
    """Take a brief's text. Raises BadInputError when it is empty or too long."""
    text = text.strip()
    if not text:
        raise BadInputError("the text is empty", hint='describe the character: --text "…"')
    if len(text) > LONGEST_BRIEF:
        raise BadInputError(
            f"{label} has {len(text)} characters", hint=f"at most {LONGEST_BRIEF} fit; shorten it"
        )
    return Origin(label=label, text=text)


def read_image(path: Path) -> Origin:
    """Read a character's picture. Raises BadInputError when it is none."""
    data = read_bytes(path, what="image")
    return Origin(label=path.name, picture=read_picture(data, label=str(path)))


def read_origins(
    briefs: Sequence[Path],
    images: Sequence[Path],
    texts: Sequence[str],
    *,
    cards: Sequence[Path] = (),
) -> list[Origin]:
    """Read everything that characters come from. Raises BadInputError."""
    return [
        *(read_brief(path) for path in briefs),
        *(read_image(path) for path in images),
        *(brief(text, label=f"text {i}") for i, text in enumerate(texts, 1)),
        *(read_card_origin(path) for path in cards),
    ]


def spread(origins: Sequence[Origin], personas: int | None) -> list[tuple[Origin, int, int]]:
    """Spread `personas` characters over the origins: (origin, its how-manieth, of how many).

    Raises BadInputError when there is nothing to spread, or fewer characters than origins.
    """
    if not origins:
        raise BadInputError(
            "there is nothing to make a character from",
            hint='give --brief FILE, --image FILE or --text "…"',
        )
    total = len(origins) if personas is None else personas
    if total < len(origins):
        raise BadInputError(
            f"--personas {total} is less than the {len(origins)} briefs, texts and pictures given",
            hint="raise --personas, or give fewer",
        )
    of = [total // len(origins) + (i < total % len(origins)) for i in range(len(origins))]
    turns = islice(cycle(range(len(origins))), total)
    seen = [0] * len(origins)
    spread_out = []
    for i in turns:
        seen[i] += 1
        spread_out.append((origins[i], seen[i], of[i]))
    return spread_out


def read_card_origin(path: Path) -> Origin:
    """Read a character card (JSON or PNG). Raises BadInputError when it is none."""
    card = read_card(read_bytes(path, what="card"), label=str(path))
    return Origin(label=path.name, card_json=json.dumps(card, ensure_ascii=False))


def read_card_source(path: Path) -> Source:
    """Read a character card (JSON or PNG) as a source. Raises BadInputError when it is none."""
    origin = read_card_origin(path)
    return Source(label=origin.label, card_json=origin.card_json)


def read_tweets(path: Path) -> tuple[str, tuple[dict[str, Any], ...]]:
    """Read a run's tweets.json: the character's name and its tweets.

    Raises BadInputError when it is not such a file or a tweet lacks its picture's description.
    """
    text = read_text(path, what="tweets file", hint=TWEETS_HINT)
    try:
        content = json.loads(text)
    except ValueError as error:
        raise BadInputError(f"tweets file {path} is not JSON: {error}", hint=TWEETS_HINT) from None
    tweets = content.get("tweets") if isinstance(content, dict) else None
    if not isinstance(tweets, list) or not tweets:
        raise BadInputError(f"tweets file {path} has no tweets", hint=TWEETS_HINT)
    return str(content.get("persona") or path.parent.name), tuple(
        checked_tweet(tweet, number, path) for number, tweet in enumerate(tweets, 1)
    )


def checked_tweet(tweet: Any, number: int, path: Path) -> dict[str, Any]:
    """Check one tweet of a file. Raises BadInputError that names its number."""
    if not isinstance(tweet, dict) or not str(tweet.get("image_prompt") or "").strip():
        raise BadInputError(
            f"tweet {number} in {path} has no image_prompt",
            hint="describe its picture, or take it out of the file",
        )
    return {
        "slot": number,
        "date": str(tweet.get("date") or ""),
        "text": str(tweet.get("text") or ""),
        "image_prompt": str(tweet["image_prompt"]),
    }


def read_calendars(paths: list[Path], personas: int, tweets: int) -> tuple[str, ...]:
    """Read calendar files: one for all characters, or one for each. Raises BadInputError."""
    if len(paths) not in (0, 1, personas):
        raise BadInputError(
            f"{len(paths)} calendars for {personas} characters",
            hint="give one --calendar for all, or one for each character",
        )
    texts = [read_text(path, what="calendar", hint=CALENDAR_HINT) for path in paths]
    for path, text in zip(paths, texts, strict=True):
        parse_calendar(text, label=str(path), days=tweets)
    return tuple(texts)
