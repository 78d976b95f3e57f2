"""What a request's messages tell the simulated model: language, names, days, markers, facts.

It reads words, it does not write any; `prose` does.
"""

import datetime
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Language = Literal["en", "zh"]

# the grammar rule that a fact fixes: the labels it has in a prompt
_LABELLED = {
    "occupation": ("occupation", "job", "profession", "职业"),
    "home": ("city", "home", "hometown", "城市"),
    "topic": ("topic", "话题", "主题"),
    "mood": ("mood", "心情"),
    "weather": ("weather", "天气"),
}
_FACTS = {label: rule for rule, labels in _LABELLED.items() for label in labels}
_LABELS = "|".join(("calendar-days", "character-name", "taken-names", "marker", *_FACTS))
_LINE = re.compile(
    rf"^[ \t]*[-*]?[ \t]*\"?({_LABELS})\"?[ \t]*[::][ \t]*(.+)$", re.MULTILINE | re.IGNORECASE
)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_CJK = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_LETTER = re.compile(r"[A-Za-z]")
# found by str.rfind: a regular expression took a third of a whole reply's time
_ASKED: dict[Language, tuple[str, ...]] = {
    "zh": ("in chinese", "in simplified chinese", "用中文", "用简体中文", "language: zh"),
    "en": ("in english", "用英文", "用英语", "language: en"),
}
_FACT_CHARACTERS = 40
_CJK_PER_LETTER = 1 / 3  # an English word has about five letters, a Chinese one about two


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """The facts that a reply must respect; `taken_names` are case-folded."""

    language: Language = "en"
    days: tuple[datetime.date, ...] = ()
    character_name: str = ""
    taken_names: frozenset[str] = frozenset()
    markers: tuple[str, ...] = ()
    told: Mapping[str, str] = field(default_factory=dict)


def text_of(messages: list[Any]) -> str:
    """All text of all messages, one after the other; pictures are left out."""
    texts: list[str] = []
    for message in messages:
        content = message.get("content")
        if isinstance(content, str):
            texts.append(content)
        elif isinstance(content, list):
            parts = (part.get("text") for part in content if isinstance(part, dict))
            texts.extend(part for part in parts if isinstance(part, str))
    return "\n".join(texts)


def prompt_of(text: str) -> Prompt:
    """Read the labelled lines (`marker: WORD`, ...) and the language of a prompt's text."""
    lines: dict[str, list[str]] = {}
    for label, value in _LINE.findall(text):
        lines.setdefault(label.lower(), []).append(value.strip())
    names = lines.get("character-name", [])
    return Prompt(
        language=language_of(text),
        days=tuple(dict.fromkeys(_days(lines.get("calendar-days", [])))),
        character_name=names[-1] if names else "",
        taken_names=frozenset(
            name.strip().casefold()
            for value in lines.get("taken-names", [])
            for name in re.split(r"[,,、]", value)
        )
        - {""},
        markers=tuple(dict.fromkeys(value.split()[0] for value in lines.get("marker", []))),
        told=_facts(lines),
    )


def language_of(text: str) -> Language:
    """The language that is asked for (the last request wins), else the one mostly written."""
    lowered = text.lower()
    asked_at = {
        language: max(lowered.rfind(words) for words in phrases)
        for language, phrases in _ASKED.items()
    }
    if max(asked_at.values()) >= 0:
        return "zh" if asked_at["zh"] > asked_at["en"] else "en"
    if text.isascii():
        return "en"
    chinese = len(_CJK.findall(text))
    return "zh" if chinese > len(_LETTER.findall(text)) * _CJK_PER_LETTER else "en"


def schema_in(text: str) -> dict[str, Any] | None:
    """The last JSON schema of an object that the text spells out, if any.

    Clients of providers without `json_schema` put it into the prompt.
    """
    if '"properties"' not in text:
        return None
    found = None
    decoder = json.JSONDecoder()
    at = text.find("{")
    while at != -1:
        try:
            value, end = decoder.raw_decode(text, at)
        except ValueError:
            end = at + 1
        else:
            if isinstance(value.get("properties"), dict):
                found = value
        at = text.find("{", end)
    return found


def _days(values: list[str]) -> list[datetime.date]:
    days = []
    for written in (match for value in values for match in _DAY.findall(value)):
        try:
            days.append(datetime.date.fromisoformat(written))
        except ValueError:
            continue  # 2026-02-30 is no day; a model would pass over it too
    return days


def _facts(lines: dict[str, list[str]]) -> dict[str, str]:
    facts = {}
    for label, values in lines.items():
        text = re.sub(r'^[ "]+|[ ",,]+$', "", values[-1])
        if label in _FACTS and 0 < len(text) <= _FACT_CHARACTERS and "[" not in text:
            facts[_FACTS[label]] = text
    return facts
