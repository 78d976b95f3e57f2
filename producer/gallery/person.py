"""What the gallery says about one character: read from its card, whatever the card holds.

Cards may come from a user's file, so nothing is taken for granted: a field that is absent or of
another type is left out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from producer.character import Character
from producer.gallery.post import PostView, post_view

# Where a card may hold the plain facts of a character; never its social network: those are friends.
_FACT_PLACES = ("core", "profile", "identity")
_ABOUT = ("gender", "interests", "goals")
_DEEPEST = 8


@dataclass(frozen=True, kw_only=True)
class Detail:
    """One thing to open and read: a text, a list, or mappings of such, as JSON holds them."""

    label: str
    value: Any


@dataclass(frozen=True, kw_only=True)
class PersonView:
    """One character's section. `folder` "" means that it has no files; `missing` says why."""

    anchor: str
    name: str
    tagline: str
    motto: str
    description: str
    folder: str
    has_card: bool
    has_tweets: bool
    traits: tuple[str, ...]
    details: tuple[Detail, ...]
    posts: tuple[PostView, ...]
    missing: str
    error: str


def person_view(character: Character, labels: Mapping[str, str]) -> PersonView:
    """Say what there is to say about one character, in the labels' language."""
    persona = character.persona
    data = _mapping((persona.card or {}).get("data"))
    castline = _mapping(_mapping(data.get("extensions")).get("castline"))
    posts = sorted(persona.tweets, key=lambda tweet: (tweet.date, tweet.slot))
    return PersonView(
        anchor=f"character-{persona.index}",
        name=character.name,
        tagline=_tagline(castline, labels),
        motto=_fact(castline, "tagline"),
        description=_description(data, character.name, labels["you"]),
        folder=character.folder,
        has_card=persona.card is not None,
        has_tweets=bool(persona.tweets),
        traits=_traits(data, castline),
        details=tuple(_details(data, castline, persona.calendar, character.name, labels)),
        posts=tuple(post_view(tweet, character.folder, character.name) for tweet in posts),
        missing=_missing(character, labels),
        error=persona.error,
    )


def _missing(character: Character, labels: Mapping[str, str]) -> str:
    if character.folder:
        return ""
    return labels["character_failed" if character.persona.error else "character_missing"]


def _tagline(castline: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    age = _fact(castline, "age")
    parts = (
        _fact(castline, "occupation", "profession"),
        _fact(castline, "city", "location"),
        labels["age"].replace("{age}", age) if age.isdecimal() else age,
    )
    return " · ".join(part for part in parts if part)


def _fact(castline: Mapping[str, Any], *keys: str) -> str:
    places = (castline, *(_mapping(castline.get(place)) for place in _FACT_PLACES))
    found = (place[key] for place in places for key in keys if key in place)
    return next((str(value) for value in found if isinstance(value, str | int) and value), "")


def _traits(data: Mapping[str, Any], castline: Mapping[str, Any]) -> tuple[str, ...]:
    places = (castline, *(_mapping(castline.get(place)) for place in _FACT_PLACES))
    traits = (text for place in places for text in _texts(place.get("traits")))
    return tuple(dict.fromkeys((*traits, *_texts(data.get("tags")))))


def _details(
    data: Mapping[str, Any],
    castline: Mapping[str, Any],
    calendar: Mapping[str, Any] | None,
    name: str,
    labels: Mapping[str, str],
) -> Iterable[Detail]:
    core = _mapping(castline.get("core"))
    found = {
        "personality": data.get("personality"),
        "about": {key: core[key] for key in _ABOUT if key in core},
        "scenario": data.get("scenario"),
        "greeting": data.get("first_mes"),
        "social_network": castline.get("social_network"),
        "knowledge": _knowledge(data),
        "strategy": castline.get("strategy"),
        "authenticity": castline.get("authenticity"),
        "visual_profile": castline.get("visual_profile"),
        "examples": _examples(castline.get("example_tweets")),
        "calendar": _calendar(calendar),
        "provenance": {
            **_mapping(castline.get("provenance")),
            **_mapping(castline.get("cost")),
        },
    }
    for key, value in found.items():
        if value:
            yield Detail(label=labels[key], value=_filled(value, name, labels["you"]))


def _description(data: Mapping[str, Any], name: str, you: str) -> str:
    text: str = _filled(_text(data.get("description")), name, you)
    # Our cards say "{{char}} is Mei Lin, 34, …" for programs that call {{char}} otherwise.
    return text.replace(f"{name} is {name}, ", f"{name} is ", 1)


def _knowledge(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    entries = _mapping(data.get("character_book")).get("entries")
    return [
        {
            "subject": entry.get("name") or entry.get("comment"),
            "keys": entry.get("keys"),
            "content": entry.get("content"),
        }
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict)
    ]


def _examples(tweets: Any) -> list[str]:
    entries = tweets if isinstance(tweets, list) else []
    texts = (entry.get("text") if isinstance(entry, dict) else entry for entry in entries)
    return [text for text in texts if isinstance(text, str)]


def _calendar(calendar: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Put each day on one line: a hundred days, field by field, are too long to read."""
    days = _mapping((calendar or {}).get("calendar", calendar))
    return {str(day): _day(plan) for day, plan in days.items()}


def _day(plan: Any) -> Any:
    if not isinstance(plan, Mapping):
        return plan
    return " · ".join(str(part) for part in plan.values() if isinstance(part, str | int) and part)


def _filled(value: Any, name: str, you: str, depth: int = 0) -> Any:
    """Put names where a card has `{{char}}` and `{{user}}`; cut what is nested without end."""
    if isinstance(value, str):
        return value.replace("{{char}}", name).replace("{{user}}", you)
    if depth == _DEEPEST and isinstance(value, Mapping | list):
        return "…"
    if isinstance(value, Mapping):
        return {str(key): _filled(part, name, you, depth + 1) for key, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, name, you, depth + 1) for part in value]
    return value


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _texts(value: Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
