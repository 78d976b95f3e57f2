"""The calendar: a plan for each day, from the model or from the user's file."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from tasks.errors import BadInputError, BadReplyError
from tasks.schemas.calls import Ask, Message, StructuredCall
from tasks.schemas.documents import CalendarDocument, DayPlan, DayPlans
from tasks.stages.card_sheet import card_sheet
from tasks.stages.stage import Stage, StageInputs
from tasks.stages.together import together
from tasks.stages.user_json import parse_json
from tasks.stages.wording import conversation, listed

ROLE = "You plan what happens in a character's days, and what they will tweet about."
DAYS_A_CALL = 10
HINT = 'it looks like {"calendar": {"2026-12-01": {"topic": "…", "mood": "…"}}}'
MOST_NAMED = 5


def prompt(inputs: StageInputs, days: Sequence[str]) -> tuple[Message, ...]:
    """Ask for the plans of some days."""
    task = (
        "Plan one tweet for each of these days in the life of the character below.\n"
        f"calendar-days: {listed(days)}\n"
        f"{where_in(inputs.dates, days)}"
        "Give one entry for each date, exactly these dates, in order.\n"
        "- Weekdays, season, holidays and the character's work decide what can happen.\n"
        "- No two days share topic and mood; times of day vary as their rhythm allows.\n"
        "- One or two small stories run over several days: begin, complicate, end. Some days "
        "nothing happens, and that is the topic.\n"
        "- The hook is a concrete first thought, not a summary.\n"
        "- The image idea is one scene that a camera could see, described in English."
    )
    return conversation(inputs.language, ROLE, task, card_sheet(inputs.card))


def where_in(dates: Sequence[str], days: Sequence[str]) -> str:
    """Tell which part of a long calendar is asked for; "" when it is all of it."""
    if len(days) == len(dates):
        return ""
    return (
        f"They are part of {len(dates)} days from {dates[0]} to {dates[-1]}; others plan the "
        "rest, so let no story need the days outside.\n"
    )


async def write(inputs: StageInputs, ask: Ask) -> CalendarDocument:
    """Plan all days, ten in a call, the calls side by side; ask once more for forgotten days.

    Raises BadReplyError when days are still missing then.
    """
    found = await plans(inputs, ask, inputs.dates, "calendar")
    forgotten = [day for day in inputs.dates if day not in found]
    if forgotten:
        found |= await plans(inputs, ask, forgotten, "calendar.missing")
    missing = [day for day in inputs.dates if day not in found]
    if missing:
        raise BadReplyError(
            f"the model left {len(missing)} of {len(inputs.dates)} days out of the calendar: "
            f"{listed(missing[:5])}"
        )
    return CalendarDocument(
        calendar={day: found[day].model_dump(exclude={"date"}) for day in inputs.dates}
    )


async def plans(
    inputs: StageInputs, ask: Ask, days: Sequence[str], name: str
) -> dict[str, DayPlan]:
    """Ask for days, ten in a call; what comes back is kept by date, the first of equal ones."""
    replies = await together(
        ask(call(inputs, part, f"{name}.{number}")) for number, part in enumerate(parts(days), 1)
    )
    found: dict[str, DayPlan] = {}
    for reply in replies:
        for plan in reply.days:
            found.setdefault(plan.date, plan)
    return found


def parts(days: Sequence[str]) -> Iterable[Sequence[str]]:
    """Split days into parts for one call each."""
    return (days[i : i + DAYS_A_CALL] for i in range(0, len(days), DAYS_A_CALL))


def call(inputs: StageInputs, days: Sequence[str], name: str) -> StructuredCall[DayPlans]:
    """Build the call for some days."""
    return StructuredCall(
        name=name,
        messages=prompt(inputs, days),
        reply=DayPlans,
        temperature=0.9,
        max_tokens=400 * len(days) + 500,
    )


def parse_calendar(text: str, *, label: str, days: int) -> CalendarDocument:
    """Read a calendar; days come back in order, plans may have any keys, spare days are kept.

    Raises BadInputError: not JSON (line, column), a key twice, no `calendar`, bad dates, plans
    that are no objects, fewer than `days` days.
    """
    label = f"calendar {label}"
    content = parse_json(text, label=label, doubles=False, hint=HINT)
    plans = content.get("calendar") if isinstance(content, dict) else None
    if not isinstance(plans, dict):
        raise BadInputError(f'{label} has no "calendar" object', hint=HINT)
    _check_dates(plans, label)
    _check_plans(plans, label)
    if len(plans) < days:
        raise BadInputError(
            f"{label} has {len(plans)} days, and {days} tweets are asked for",
            hint="add days, or ask for fewer tweets",
        )
    return CalendarDocument(calendar=dict(sorted(plans.items())))


def _check_dates(plans: Mapping[str, Any], label: str) -> None:
    bad = [f'"{day}"' for day in plans if not _is_day(day)]
    if bad:
        raise BadInputError(
            f"{label} has keys that are no dates: {_some(bad)}",
            hint="write every day as YYYY-MM-DD, such as 2026-12-01",
        )


def _check_plans(plans: Mapping[str, Any], label: str) -> None:
    bad = [day for day, plan in plans.items() if not isinstance(plan, dict)]
    if bad:
        raise BadInputError(f"{label} has days whose plan is no object: {_some(bad)}", hint=HINT)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return listed(names[:MOST_NAMED]) + more


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


STAGE = Stage(name="calendar", version="1", reads=(), document=CalendarDocument, write=write)
