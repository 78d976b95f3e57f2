"""Turns cards of one version into another without losing anything: V1 to V2, V3 to V2 and back.

What V2 has no place for waits under `extensions.castline.v3`, in the card and in its book's
entries, and goes back to its place when the card is raised again. Whether a card is valid is
`tasks.schemas.card`'s business.
"""

import copy
from collections.abc import Mapping
from typing import Any

OWN, KEPT = "castline", "v3"
V1_TEXTS = ("name", "description", "personality", "scenario", "first_mes", "mes_example")
V2_TEXTS = (
    "creator_notes",
    "system_prompt",
    "post_history_instructions",
    "creator",
    "character_version",
)
V3_FIELDS = (
    "group_only_greetings",
    "assets",
    "nickname",
    "source",
    "creator_notes_multilingual",
    "creation_date",
    "modification_date",
)
PORTRAIT = {"type": "icon", "uri": "ccdefault:", "name": "main", "ext": "png"}


def v2_from_v1(content: Mapping[str, Any]) -> dict[str, Any]:
    """Make V2 of V1's six texts; V1 defines nothing else."""
    data: dict[str, Any] = {field: content[field] for field in V1_TEXTS}
    data |= dict.fromkeys(V2_TEXTS, "")
    data |= {"alternate_greetings": [], "tags": [], "extensions": {}}
    return {"spec": "chara_card_v2", "spec_version": "2.0", "data": data}


def v2_from_v3(card: Mapping[str, Any]) -> dict[str, Any]:
    """Lower a V3 card; broken parts are left as they are, for validation to name."""
    lowered = copy.deepcopy(dict(card))
    lowered.update(spec="chara_card_v2", spec_version="2.0")
    data = lowered.get("data")
    if isinstance(data, dict):
        _put_away(data, {field: data.pop(field) for field in V3_FIELDS if field in data})
        for entry in _entries(data):
            _put_away(entry, _beyond_v2(entry))
    return lowered


def v3_from_v2(card: Mapping[str, Any]) -> dict[str, Any]:
    """Raise a valid V2 card, with whatever an earlier V3 left in it.

    A card that never named its assets gets one: the picture that it is embedded in.
    """
    raised = copy.deepcopy(dict(card))
    raised.update(spec="chara_card_v3", spec_version="3.0")
    data = raised["data"]
    data.update({"group_only_greetings": [], "assets": [dict(PORTRAIT)]} | _taken_out(data))
    for entry in _entries(data):
        entry.update({"use_regex": False} | _taken_out(entry))
    return raised


def _entries(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    book = data.get("character_book")
    entries = book.get("entries") if isinstance(book, dict) else None
    return [e for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []


def _beyond_v2(entry: dict[str, Any]) -> dict[str, Any]:
    beyond = {"use_regex": entry.pop("use_regex")} if "use_regex" in entry else {}
    if isinstance(entry.get("id"), str):
        beyond["id"] = entry.pop("id")
    return beyond


def _put_away(part: dict[str, Any], kept: dict[str, Any]) -> None:
    extensions = part.setdefault("extensions", {})
    if not kept or not isinstance(extensions, dict):
        return
    own = extensions.get(OWN)
    extensions[OWN] = {**(own if isinstance(own, dict) else {}), KEPT: kept}


def _taken_out(part: dict[str, Any]) -> dict[str, Any]:
    own = part["extensions"].get(OWN)
    if not isinstance(own, dict) or not isinstance(own.get(KEPT), dict):
        return {}
    kept: dict[str, Any] = own.pop(KEPT)
    if not own:
        del part["extensions"][OWN]
    return kept
