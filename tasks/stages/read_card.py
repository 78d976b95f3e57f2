"""Reads anybody's character card, V1, V2 or V3, JSON or PNG, as a V2 card.

Fetching the file is the caller's business.
"""

from typing import Any

from pydantic import ValidationError

from tasks.errors import BadInputError
from tasks.schemas.card import valid_card
from tasks.stages.card_png import embedded_card
from tasks.stages.card_versions import V1_TEXTS, v2_from_v1, v2_from_v3
from tasks.stages.png_chunks import MAGIC
from tasks.stages.user_json import parse_json

SPECS = ("chara_card_v2", "chara_card_v3")
_MOST_NAMED = 3
_HINT = "a card is a JSON object with `spec` chara_card_v2 or chara_card_v3 and its `data`"


def read_card(data: bytes, *, label: str) -> dict[str, Any]:
    """Read a card file; V1 is raised and V3 lowered to V2, unknown fields are kept.

    Raises BadInputError that names the fields that are missing or wrong.
    """
    content = _content(data, label)
    if not isinstance(content, dict):
        raise BadInputError(f"{label} is not a character card", hint=_HINT)
    if content.get("spec") in SPECS:
        return _checked(v2_from_v3(content), label)
    if "spec" not in content and _is_v1(content):
        return _checked(v2_from_v1(content), label)
    raise BadInputError(f"{label} is not a character card", hint=_HINT)


def _content(data: bytes, label: str) -> Any:
    if data.startswith(MAGIC):
        content = embedded_card(data, label=label)
        if content is None:
            raise BadInputError(
                f"{label} is a picture without a character card in it",
                hint="make a character of it with `castline persona --image`",
            )
        return content
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInputError(
            f"{label} is neither a PNG nor UTF-8 text", hint="give a card as JSON or PNG"
        ) from None
    return parse_json(text, label=label, hint=_HINT)


def _is_v1(content: dict[str, Any]) -> bool:
    return all(isinstance(content.get(field), str) for field in V1_TEXTS)


def _checked(card: dict[str, Any], label: str) -> dict[str, Any]:
    try:
        return valid_card(card)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    named = [f"{'.'.join(str(p) for p in e['loc'])}: {_said(e['type'], e['msg'])}" for e in found]
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    raise BadInputError(
        f"{label} is not a valid character card: {'; '.join(named[:_MOST_NAMED])}{more}",
        hint="correct these fields, or export the card again",
    )


def _said(kind: str, message: str) -> str:
    known = {"missing": "is missing", "string_pattern_mismatch": "must not be empty"}
    return known.get(kind, message)
