"""Reads anybody's character card, V1, V2 or V3, JSON or PNG, as a V2 card."""

import copy
import json
from typing import Any

from pydantic import ValidationError

from tasks.errors import BadInputError
from tasks.schemas.card import valid_card
from tasks.stages.card_png import embedded_card

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
V1_FIELDS = ("name", "description", "personality", "scenario", "first_mes", "mes_example")
V2_TEXTS = ("creator_notes", "system_prompt", "post_history_instructions", "creator",
            "character_version")  # fmt: skip


def read_card(data: bytes, *, label: str) -> dict[str, Any]:
    """Read a card file; V1 is raised and V3 lowered to V2, unknown extensions are kept.

    Raises BadInputError that says what is missing.
    """
    content = content_of(data, label)
    if not isinstance(content, dict):
        raise BadInputError(f"{label} is not a character card", hint="it is a JSON object")
    if content.get("spec") in ("chara_card_v2", "chara_card_v3"):
        card = lowered(content)
    elif all(isinstance(content.get(field), str) for field in V1_FIELDS):
        card = raised(content)
    else:
        raise BadInputError(
            f"{label} is not a character card", hint="its `spec` is chara_card_v2 or chara_card_v3"
        )
    try:
        return valid_card(card)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(p) for p in first["loc"])
        raise BadInputError(
            f"{label} is not a valid character card: {place}: {first['msg']}",
            hint="correct this field",
        ) from None


def content_of(data: bytes, label: str) -> Any:
    """Find the card's JSON in a file of either kind."""
    if data.startswith(PNG_MAGIC):
        content = embedded_card(data)
        if content is None:
            raise BadInputError(
                f"{label} is a picture without a character card in it",
                hint="make a character of it with `castline persona --image`",
            )
        return content
    try:
        return json.loads(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, ValueError) as error:
        raise BadInputError(f"{label} is neither JSON nor a PNG with a card") from error


def lowered(content: dict[str, Any]) -> dict[str, Any]:
    """Make V2 of V2 or V3: the same data under V2's name."""
    card = copy.deepcopy(content)
    card.update(spec="chara_card_v2", spec_version="2.0")
    data = card.get("data")
    if isinstance(data, dict):
        data.pop("group_only_greetings", None)
        data.setdefault("extensions", {})
    return card


def raised(content: dict[str, Any]) -> dict[str, Any]:
    """Make V2 of V1."""
    data: dict[str, Any] = {field: content[field] for field in V1_FIELDS}
    data |= dict.fromkeys(V2_TEXTS, "")
    data |= {"alternate_greetings": [], "tags": [], "extensions": {}}
    return {"spec": "chara_card_v2", "spec_version": "2.0", "data": data}
