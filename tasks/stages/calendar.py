"""The calendar: a plan for each day, from the model or from the user's file."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from tasks.errors import BadInputError, BadReplyError
from tasks.schemas.calls import Ask, Message, StructuredCall
from tasks.schemas.documents import CalendarDocument, DayPlan, DayPlans
from tasks.stages.stage import Stage, StageInputs
from tasks.stages.wording import conversation, listed

DAYS_A_CALL = 10
EXAMPLE = '{"calendar": {"2026-12-01": {"topic": "…", "mood": "…"}}}'


def prompt(inputs: StageInputs, days: Sequence[str]) -> tuple[Message, ...]:
    """Ask for the plans of some days."""
    task = (
        "Plan one tweet for each of these days in the character's life. Vary topic, mood and "
        "time of day; let small stories run over several days. One entry for each date, exactly "
        "these dates:"
    )
    asked = f"calendar-days: {listed(days)}"
    return conversation(
        inputs.language, "You plan a character's days.", task, asked, card_sheet(inputs.card)
    )


def card_sheet(card: Mapping[str, Any]) -> str:
    """Sum a card up for a prompt; notes for humans stay out of it."""
    data = card["data"]
    own = data.get("extensions", {}).get("castline", {})
    strategy = own.get("strategy")
    return "\n".join(
        line
        for line in (
            f"character-name: {data['name']}",
            data["description"],
            f"Personality: {data['personality']}" if data["personality"] else "",
            f"Situation: {data['scenario']}" if data["scenario"] else "",
            f"Tweet strategy: {json.dumps(strategy, ensure_ascii=False)}" if strategy else "",
        )
        if line
    )


async def write(inputs: StageInputs, ask: Ask) -> CalendarDocument:
    """Plan all days, ten in a call, the calls side by side; ask once more for forgotten days.

    Raises BadReplyError when days are still missing then.
    """
    parts = [inputs.dates[i : i + DAYS_A_CALL] for i in range(0, len(inputs.dates), DAYS_A_CALL)]
    found: dict[str, DayPlan] = {}
    replies = await asyncio.gather(
        *(ask(call(inputs, part, f"calendar.{n}")) for n, part in enumerate(parts, 1))
    )
    for reply in replies:
        found.update((plan.date, plan) for plan in reply.days)
    missing = [day for day in inputs.dates if day not in found]
    if missing:
        again = await ask(call(inputs, missing[:DAYS_A_CALL], "calendar.missing"))
        found.update((plan.date, plan) for plan in again.days)
    missing = [day for day in inputs.dates if day not in found]
    if missing:
        raise BadReplyError(f"the calendar lacks {len(missing)} days, first {missing[0]}")
    plans = {day: found[day].model_dump(exclude={"date"}) for day in inputs.dates}
    return CalendarDocument(calendar=plans)


def call(inputs: StageInputs, days: Sequence[str], name: str) -> StructuredCall[DayPlans]:
    """Build the call for some days."""
    return StructuredCall(
        name=name, messages=prompt(inputs, days), reply=DayPlans, max_tokens=400 * len(days) + 500
    )


def parse_calendar(text: str, *, label: str, days: int) -> CalendarDocument:
    """Read the user's calendar file; days beyond `days` are kept, plans may have any keys.

    Raises BadInputError: not JSON, no `calendar`, bad or double dates, plans that are no objects,
    fewer than `days` days.
    """
    try:
        content = json.loads(text, object_pairs_hook=without_doubles)
    except json.JSONDecodeError as error:
        raise BadInputError(
            f"calendar {label} is not JSON: {error.msg} at line {error.lineno}, "
            f"column {error.colno}",
            hint=f"it looks like {EXAMPLE}",
        ) from None
    except DoubleKeyError as error:
        raise BadInputError(
            f"calendar {label} has {error.key!r} twice", hint="keep one of them"
        ) from None
    plans = content.get("calendar") if isinstance(content, dict) else None
    if not isinstance(plans, dict):
        raise BadInputError(f"{label} has no calendar", hint=f"it looks like {EXAMPLE}")
    bad = [day for day in plans if not is_day(day)]
    if bad:
        raise BadInputError(
            f"calendar {label} has bad dates: {listed(bad[:5])}", hint="write them as YYYY-MM-DD"
        )
    empty = [day for day, plan in plans.items() if not isinstance(plan, dict) or not plan]
    if empty:
        raise BadInputError(
            f"calendar {label}: the plan of {empty[0]} is not an object with text",
            hint=f"it looks like {EXAMPLE}",
        )
    if len(plans) < days:
        raise BadInputError(
            f"calendar {label} has {len(plans)} days and {days} tweets are asked for",
            hint="add days, or ask for fewer tweets",
        )
    return CalendarDocument(calendar=dict(sorted(plans.items())))


class DoubleKeyError(ValueError):
    """A JSON object names a key twice."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object. Raises DoubleKeyError instead of keeping the last of two."""
    built: dict[str, Any] = {}
    for key, value in pairs:
        if key in built:
            raise DoubleKeyError(key)
        built[key] = value
    return built


def is_day(text: str) -> bool:
    """Whether a text is a real day as YYYY-MM-DD."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


STAGE = Stage(name="calendar", version="1", reads=(), document=CalendarDocument, write=write)
