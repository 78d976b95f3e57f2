"""A run's folder: what is written into it, file by file.

How it takes the place of an older one is `out_folder`'s business, the page `gallery`'s; reading
ledger and blobs is the caller's.
"""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from producer.character import Character, character_name, characters, picture_path
from producer.gallery.page import gallery_page
from producer.out_folder import (
    CARD_FILE,
    GALLERY_FILE,
    RUN_FILE,
    TWEETS_FILE,
    check_out_folder,
    replaced_folder,
)
from tasks.errors import BadInputError
from tasks.schemas.export import RunExport, TweetExport

Embed = Callable[[bytes, dict[str, Any]], bytes]
Monogram = Callable[[str], bytes]


def export_run(export: RunExport, out: Path, *, embed: Embed, monogram: Monogram) -> Path:
    """Write the run's folder to `out`, all of it or nothing; hand back `out`.

    `embed` puts a card into a PNG, `monogram` draws a PNG for a name without a portrait. Exports
    what there is of an unfinished run. Writing the same run again replaces its folder, and with
    it whatever was changed by hand inside the characters' folders. Raises BadInputError when
    `out` holds something else, cannot be written or the disk is full: free it, or choose another.
    """
    check_out_folder(out, export.status.run_id)
    try:
        with replaced_folder(out) as folder:
            _write_run(export, folder, out=out, embed=embed, monogram=monogram)
    except OSError as error:
        raise BadInputError(
            f"{out} cannot be written: {error.strerror or error}.",
            hint="Free some space or choose another folder; the run itself is safe.",
        ) from error
    return out


def generator() -> str:
    """Name the program and its version, as the files that it writes carry it."""
    try:
        return f"castline {version('castline')}"
    except PackageNotFoundError:
        return "castline"


def _write_run(
    export: RunExport, folder: Path, *, out: Path, embed: Embed, monogram: Monogram
) -> None:
    people = characters(export)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow draws without the interpreter's lock
        written = [
            pool.submit(
                _write_character,
                character,
                folder / character.folder,
                embed=embed,
                monogram=monogram,
            )
            for character in people
            if character.folder
        ]
        for one in written:
            one.result()
    page = gallery_page(export, people, generator=generator())
    (folder / GALLERY_FILE).write_bytes(page.encode("utf-8", "replace"))
    _write_json(folder / RUN_FILE, _run_document(export, out))


def _run_document(export: RunExport, out: Path) -> dict[str, Any]:
    return export.status.model_dump(mode="json") | {
        "out": str(out),
        "kind": export.kind,
        "created": export.created,
        "provider": export.provider,
        "language": export.language,
        "ai_generated": True,
        "generator": generator(),
    }


def _write_character(
    character: Character, folder: Path, *, embed: Embed, monogram: Monogram
) -> None:
    persona = character.persona
    folder.mkdir()
    if persona.card is not None:
        portrait = persona.portrait if persona.portrait is not None else monogram(character.name)
        _write_json(folder / CARD_FILE, persona.card)
        (folder / "card.png").write_bytes(embed(portrait, persona.card))
    if persona.calendar is not None:
        _write_json(folder / "calendar.json", persona.calendar)
    tweets = [_tweet_entry(tweet) for tweet in persona.tweets]
    _write_json(folder / TWEETS_FILE, {"persona": character_name(persona), "tweets": tweets})
    _write_pictures(persona.tweets, folder)


def _tweet_entry(tweet: TweetExport) -> dict[str, Any]:
    return {
        "slot": tweet.slot,
        "date": tweet.date,
        "text": tweet.text,
        "image_prompt": tweet.image_prompt,
        "image": picture_path(tweet),
        "status": tweet.status,
        "model": tweet.model,
    }


def _write_pictures(tweets: tuple[TweetExport, ...], folder: Path) -> None:
    for tweet in tweets:
        path = picture_path(tweet)
        if path is not None and tweet.image is not None:
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_bytes(tweet.image)


def _write_json(path: Path, document: dict[str, Any]) -> None:
    text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    # Models write lone surrogates now and then; escaped like this, they stay valid JSON.
    path.write_bytes(text.encode("utf-8", "backslashreplace"))
