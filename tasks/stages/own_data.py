"""Our own data in a card, `extensions.castline`, read so that a foreign card does no harm.

Anybody may have written these fields: what is absent or of another type is left out.
"""

from collections.abc import Mapping
from typing import Any

Card = Mapping[str, Any]


def own_data(card: Card) -> Mapping[str, Any]:
    """All of our data in a V2 card; empty for a card that is not ours."""
    return part_of(card["data"]["extensions"], "castline")


def part_of(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The object under a key, else an empty one."""
    found = value.get(key)
    return found if isinstance(found, Mapping) else {}


def parts_of(value: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The objects in the list under a key."""
    found = value.get(key)
    return [part for part in found if isinstance(part, Mapping)] if isinstance(found, list) else []


def text_of(value: Mapping[str, Any], key: str) -> str:
    """The text or number under a key, on one line, else ""."""
    found = value.get(key)
    return " ".join(str(found).split()) if isinstance(found, str | int) else ""


def texts_of(value: Mapping[str, Any], key: str) -> list[str]:
    """The texts in the list under a key."""
    found = value.get(key)
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []
