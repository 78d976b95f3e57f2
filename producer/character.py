"""A character of an exported run: its name, its folder, where its pictures lie.

Writing the files is the exporter's business, showing them the gallery's.
"""

from dataclasses import dataclass

from producer.slug import slugs
from tasks.schemas.export import PersonaExport, RunExport, TweetExport


@dataclass(frozen=True, kw_only=True)
class Character:
    """`folder` is relative to the run's folder; "" when there is nothing to put into it."""

    name: str
    folder: str
    persona: PersonaExport


def characters(export: RunExport) -> tuple[Character, ...]:
    """Name every character and give it a folder of its own, in the run's order.

    A character whose chain failed has no folder: half of one would be taken for a whole one.
    """
    names = [character_name(persona) for persona in export.personas]
    return tuple(
        Character(name=name, folder=folder if _has_files(export, persona) else "", persona=persona)
        for name, folder, persona in zip(names, slugs(names), export.personas, strict=True)
    )


def character_name(persona: PersonaExport) -> str:
    """Take the name from the card, else the label that the user's input gave."""
    data = (persona.card or {}).get("data")
    name = data.get("name") if isinstance(data, dict) else None
    return name if isinstance(name, str) and name.strip() else persona.label


def picture_path(tweet: TweetExport) -> str | None:
    """Name a tweet's picture relative to its character's folder; None when there is none."""
    return f"images/{tweet.slot:02d}.png" if tweet.image is not None else None


def _has_files(export: RunExport, persona: PersonaExport) -> bool:
    # Pictures can be asked for a tweets file alone; then there never was a card.
    return persona.card is not None or (export.kind == "images" and bool(persona.tweets))
