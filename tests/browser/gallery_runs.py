"""Made-up runs, rich and hostile, whose galleries the browser opens."""

import io
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from producer.export import export_run
from tasks.schemas.export import PersonaExport, RunExport, TweetExport
from tasks.schemas.status import (
    CallCounts,
    FailureLine,
    ItemCounts,
    RunStatus,
    TokenCounts,
)

HOSTILE = (
    '<script>document.title="owned"</script><img src=x onerror=\'document.title="owned"\'>'
    "</style></script><svg onload=alert(1)> \"quoted\" 'single' {{ 7*7 }}"
)

_FIRST = ("Mei", "Jonas", "Amara", "Tomás", "Ingrid", "Ravi", "Lucía", "Kofi", "Hana", "Piotr")
_LAST = ("Lin", "Bergström", "Okafor", "Rivera", "Novak", "Menon", "Haddad", "Mensah", "Sato")
_JOBS = ("night baker", "bridge engineer", "radio host", "botanist", "ferry captain")
_CITIES = ("Lisbon", "Rotterdam", "Lagos", "Osaka", "Valparaíso")


def english_run(people: int = 2, tweets: int = 6) -> RunExport:
    """A run as a user would have it: most is well, something failed."""
    made = [_person(index, tweets) for index in range(1, people + 1)]
    failed = PersonaExport(
        index=people + 1,
        label="brief-broken.txt",
        card=None,
        portrait=None,
        calendar=None,
        tweets=(),
        error="core: the provider refused the call (400: content policy).",
    )
    return _run((*made, failed), language="en")


def chinese_run() -> RunExport:
    """A run in Chinese, as two characters wrote it."""
    people = []
    for index, (name, city) in enumerate((("林小雨", "成都"), ("陈默", "上海")), start=1):
        core = {"occupation": "夜班面包师", "city": city, "age": 31, "traits": ["细心", "爱自嘲"]}
        data = {
            "name": name,
            "description": f"{name}在{city}的老街上开了一家只在夜里营业的面包店。她相信，"
            "一炉好面包需要耐心，也需要一点点运气。",
            "personality": "温和、细心，说话带一点自嘲。",
            "first_mes": "你好，{{user}}！刚出炉的，小心烫。",
            "tags": ["面包", "夜猫子"],
            "extensions": {
                "castline": {
                    "core": core,
                    "strategy": {"tone": "短句，口语化", "themes": ["面包", "夜晚"]},
                }
            },
        }
        posts = tuple(
            _tweet(
                slot, name, text=f"凌晨{slot}点，面团比我先醒。今天的雨下得很慢，像在等第一炉面包。"
            )
            for slot in range(1, 5)
        )
        people.append(_persona(index, data, posts))
    return _run(tuple(people), language="zh")


def hostile_run() -> RunExport:
    """A run whose every text is an attempt to break out of the page."""
    data = {
        "name": HOSTILE,
        "description": HOSTILE,
        "personality": HOSTILE,
        "tags": [HOSTILE],
        "extensions": {
            "castline": {
                "core": {"occupation": HOSTILE, "city": HOSTILE, "age": HOSTILE},
                "social_network": {HOSTILE: [HOSTILE]},
            }
        },
    }
    posts = (_tweet(1, "x", text=HOSTILE, image_prompt=HOSTILE, model=HOSTILE, date=HOSTILE),)
    broken = PersonaExport(
        index=2, label=HOSTILE, card=None, portrait=None, calendar=None, tweets=(), error=HOSTILE
    )
    return _run((_persona(1, data, posts), broken), language="en", failure=HOSTILE)


def write(export: RunExport, out: Path) -> Path:
    """Export as the program does, with the plainest of cards and monograms."""
    return export_run(export, out, embed=lambda png, card: png, monogram=_monogram)


def _person(index: int, tweets: int) -> PersonaExport:
    name = f"{_FIRST[index % len(_FIRST)]} {_LAST[index % len(_LAST)]}"
    job, city = _JOBS[index % len(_JOBS)], _CITIES[(index * 3) % len(_CITIES)]
    core = {
        "occupation": job,
        "city": city,
        "age": 24 + index % 40,
        "gender": "woman",
        "tagline": "Keeps a list of umbrellas nobody came back for.",
        "interests": ["tide tables", "second-hand radios", "soup"],
        "goals": ["a second oven"],
    }
    data = {
        "name": name,
        "description": f"{{{{char}}}} is {name}, {core['age']}, woman, {job} in {city}. "
        "She collects other people's umbrellas, returns most of them, and keeps a list of those "
        "that were never missed.",
        "personality": "Warm, dry, stubborn about small things and generous with large ones.",
        "scenario": "A long night, a short queue.",
        "first_mes": "You again, {{user}}? Sit down, it is still warm.",
        "tags": ["dry humour", "early riser", "collector", city],
        "character_book": {
            "entries": [
                {"comment": "people", "keys": ["list", "umbrella"], "content": "Forty-one names."},
                {"comment": "places", "keys": ["shop"], "content": "Opens at ten in the evening."},
            ]
        },
        "extensions": {"castline": _castline(core)},
    }
    posts = tuple(_tweet(slot, name) for slot in range(1, tweets + 1))
    if index == 1 and tweets >= 6:
        posts = (*posts[:3], *_troubled(posts[3:6]), *posts[6:])
    return _persona(index, data, posts)


def _castline(core: dict[str, Any]) -> dict[str, Any]:
    return {
        "core": core,
        "strategy": {
            "themes": ["bread", "rain", "strangers"],
            "tone": "Dry, kind, never in a hurry.",
            "rhythm": "Five times a week, before dawn.",
            "avoids": ["politics", "recipes"],
        },
        "social_network": {
            "close": [
                {"name": "Old Teo", "relation": "neighbour", "story": "Repairs clocks that run."},
                {"name": "Bea", "relation": "sister", "story": "Calls on Sundays, only then."},
            ],
            "online": [
                {"name": "@lowtide", "relation": "rival", "story": "Posts the sea. Too much sea."}
            ],
        },
        "authenticity": {"quirks": ["late replies", "deletes drafts"], "verified": False},
        "visual_profile": {"hair": "short, grey at the temples", "palette": ["flour", "slate"]},
        "example_tweets": [
            {"text": "The oven is on. So am I.", "mood": "awake"},
            {"text": "Rain again. The good kind.", "mood": "calm"},
        ],
        "provenance": {"generator": "Castline", "ai_generated": True, "models": ["sim-large"]},
        "cost": {"made": 13, "prompt_tokens": 9120, "completion_tokens": 4312},
    }


def _troubled(posts: Sequence[TweetExport]) -> tuple[TweetExport, ...]:
    return (
        posts[0].model_copy(update={"image": None, "picture_status": "failed"}),
        posts[1].model_copy(
            update={
                "text": "",
                "image": None,
                "picture_status": "failed",
                "status": "failed",
                "error": "the reply was not valid, twice.",
            }
        ),
        posts[2].model_copy(update={"image": None, "picture_status": "waiting"}),
    )


def _tweet(slot: int, name: str, **changes: Any) -> TweetExport:
    fields: dict[str, Any] = {
        "slot": slot,
        "date": (date(2026, 11, 23) + timedelta(days=slot)).isoformat(),
        "text": "Four in the morning and the street smells of bread and wet stone. "
        + "Somebody left a blue umbrella again. " * (slot % 3),
        "image_prompt": f"a blue umbrella at a bakery door, scene {slot}",
        "image": _picture(slot * 41, f"{name} {slot}"),
        "status": "done",
        "model": "sim-large",
        "picture_status": "done",
    }
    return TweetExport(**(fields | changes))


def _persona(index: int, data: dict[str, Any], posts: tuple[TweetExport, ...]) -> PersonaExport:
    return PersonaExport(
        index=index,
        label=f"brief-{index}.txt",
        card={"spec": "chara_card_v2", "spec_version": "2.0", "data": data},
        portrait=_picture(index * 67, str(data["name"])[:12], size=(256, 256)),
        calendar={"calendar": {"2026-11-24": {"topic": "rain", "mood": "calm", "hook": "Again."}}},
        tweets=posts,
    )


def _run(
    people: tuple[PersonaExport, ...], *, language: str, failure: str = "not valid, twice."
) -> RunExport:
    posts = [post for person in people for post in person.tweets]
    cards = sum(1 for person in people if person.card)
    written = sum(1 for post in posts if post.status == "done")
    drawn = sum(1 for post in posts if post.image)
    status = RunStatus(
        run_id="20261123-rain7",
        state="partial",
        personas=ItemCounts(total=len(people), done=cards, failed=len(people) - cards),
        tweets=ItemCounts(total=len(posts), done=written, failed=len(posts) - written),
        images=ItemCounts(total=len(posts), done=drawn, failed=len(posts) - drawn),
        calls=CallCounts(made=1234, retried=17, cached=3),
        tokens=TokenCounts(prompt=812_345, completion=204_321),
        seconds=754.2,
        failures=(FailureLine(item="p1.t05", stage="tweet", error=failure),),
    )
    return RunExport(
        status=status,
        kind="run",
        language=language,
        created="2026-11-23T17:45:12+00:00",
        provider="simulated",
        personas=people,
    )


def _picture(hue: int, text: str, size: tuple[int, int] = (256, 192)) -> bytes:
    picture = Image.new("HSV", size, (hue % 256, 90, 170)).convert("RGB")
    pen = ImageDraw.Draw(picture)
    pen.ellipse((size[0] // 4, size[1] // 4, size[0] * 3 // 4, size[1]), fill=(245, 240, 225))
    pen.text((8, 8), text.encode("ascii", "replace").decode(), fill="white")
    return _png(picture)


def _monogram(name: str) -> bytes:
    return _picture(len(name) * 31, name[:1], size=(256, 256))


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
