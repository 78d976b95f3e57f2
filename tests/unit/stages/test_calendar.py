import asyncio
import json
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import BadInputError, BadReplyError
from tasks.schemas.documents import DayPlans
from tasks.stages.calendar import call, parse_calendar, write


def dates(count: int) -> tuple[str, ...]:
    first = date(2026, 11, 24)
    return tuple((first + timedelta(days=n)).isoformat() for n in range(count))


def call_for(make_inputs, card):
    return call(make_inputs(card=card, dates=dates(1)), dates(1), "sample")


def planned(ask, make_inputs, card, count: int):
    return asyncio.run(write(make_inputs(card=card, dates=dates(count)), ask)).calendar


def forgetful(ask, forgotten: dict[str, set[str]]):
    """Leave days out of the calls of some names; add a day that nobody asked for."""

    async def answer(call):
        reply = await ask(call)
        kept = [plan for plan in reply.days if plan.date not in forgotten.get(call.name, set())]
        stray = reply.days[0].model_copy(update={"date": "1999-01-01"})
        return DayPlans(days=[*kept, stray][:10])

    return answer


def test_every_asked_day_is_planned_in_order(ask, make_inputs, card):
    calendar = planned(ask, make_inputs, card, 3)
    assert tuple(calendar) == dates(3)
    assert set(calendar["2026-11-24"]) == {
        "topic", "mood", "activity", "time_of_day", "weather", "hook", "image_idea",
    }  # fmt: skip


def test_the_prompt_names_the_days_and_the_character_on_lines_of_their_own(ask, make_inputs, card):
    planned(ask, make_inputs, card, 2)
    lines = ask.prompt("calendar.1").splitlines()
    assert "calendar-days: 2026-11-24, 2026-11-25" in lines
    assert "character-name: Ada Falk" in lines


@pytest.mark.parametrize(("days", "calls"), [(1, 1), (10, 1), (11, 2), (30, 3)])
def test_ten_days_are_planned_in_a_call(days, calls, ask, make_inputs, card):
    assert tuple(planned(ask, make_inputs, card, days)) == dates(days)
    assert ask.names == [f"calendar.{n}" for n in range(1, calls + 1)]


def test_a_part_of_a_long_calendar_says_so(ask, make_inputs, card):
    planned(ask, make_inputs, card, 12)
    assert "part of 12 days from 2026-11-24 to 2026-12-05" in ask.prompt("calendar.2")


def test_long_calendars_are_planned_all_at_once(ask, make_inputs, card):
    async def plan() -> None:
        all_here = asyncio.Barrier(3)

        async def slow(call):
            await all_here.wait()  # never opens for calls that come one after the other
            return await ask(call)

        async with asyncio.timeout(5):
            await write(make_inputs(card=card, dates=dates(30)), slow)

    asyncio.run(plan())
    assert len(ask.calls) == 3


def test_forgotten_days_are_asked_for_once_more_and_strays_are_dropped(ask, make_inputs, card):
    model = forgetful(ask, {"calendar.1": set(dates(12)[2:]), "calendar.2": {dates(12)[-1]}})
    inputs = make_inputs(card=card, dates=dates(12))
    calendar = asyncio.run(write(inputs, model)).calendar
    assert tuple(calendar) == dates(12)
    assert ask.names == ["calendar.1", "calendar.2", "calendar.missing.1"]
    asked = ask.prompt("calendar.missing.1")
    assert f"calendar-days: {', '.join([*dates(10)[2:], dates(12)[-1]])}" in asked


def test_the_first_plan_of_a_day_counts(ask, make_inputs, card):
    plan = asyncio.run(ask(call_for(make_inputs, card))).days[0]
    again = plan.model_copy(update={"topic": "another"})
    ask.answers["calendar.1"] = DayPlans(days=[plan, again])
    assert planned(ask, make_inputs, card, 1)["2026-11-24"]["topic"] == "rye"


def test_days_that_stay_forgotten_are_an_error_that_names_them(ask, make_inputs, card):
    lost = dates(3)[1]
    model = forgetful(ask, {"calendar.1": {lost}, "calendar.missing.1": {lost}})
    with pytest.raises(BadReplyError, match=lost):
        asyncio.run(write(make_inputs(card=card, dates=dates(3)), model))


def refused(text: str, days: int = 1) -> BadInputError:
    with pytest.raises(BadInputError) as raised:
        parse_calendar(text, label="mine.json", days=days)
    assert "mine.json" in str(raised.value)
    assert raised.value.hint
    return raised.value


def test_a_users_calendar_comes_back_sorted_with_free_plans():
    text = '{"calendar": {"2026-12-02": {"anything": ["at", "all"]}, "2026-12-01": {}}}'
    calendar = parse_calendar("\ufeff" + text, label="mine.json", days=2).calendar
    assert list(calendar.items()) == [
        ("2026-12-01", {}),
        ("2026-12-02", {"anything": ["at", "all"]}),
    ]


def test_spare_days_are_kept():
    text = json.dumps({"calendar": {day: {"topic": "x"} for day in dates(5)}})
    assert len(parse_calendar(text, label="mine.json", days=2).calendar) == 5


def test_text_that_is_no_json_is_refused_with_its_place():
    assert "line 2, column 3" in str(refused('{"calendar":\n  oops}'))


@pytest.mark.parametrize(
    "text", ["[]", "3", "null", "{}", '{"calendar": []}', '{"Calendar": {}}', '{"calendar": null}']
)
def test_json_without_a_calendar_is_refused(text):
    assert '"calendar"' in str(refused(text))


@pytest.mark.parametrize("day", ["2026-13-01", "2026-02-30", "1.12.2026", "20261201", "", "Monday"])
def test_a_bad_date_is_named(day):
    assert f'"{day}"' in str(refused(json.dumps({"calendar": {day: {"topic": "x"}}})))


@pytest.mark.parametrize("plan", ["bake", None, 3, ["bake"]])
def test_a_plan_that_is_no_object_is_named(plan):
    assert "2026-12-01" in str(refused(json.dumps({"calendar": {"2026-12-01": plan}})))


def test_fewer_days_than_tweets_are_refused_with_both_numbers():
    text = '{"calendar": {"2026-12-01": {}}}'
    assert "1 days, and 7 tweets" in str(refused(text, days=7))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('{"calendar": {"2026-12-01": {}, "2026-12-01": {}}}', "2026-12-01"),
        ('{"calendar": {"2026-12-01": {"topic": 1, "topic": 2}}}', "topic"),
    ],
)
def test_a_double_key_is_named(text, key):
    assert key in str(refused(text))


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.dates(),
        st.dictionaries(st.text(max_size=8), st.text(max_size=20) | st.integers(), max_size=3),
        min_size=1,
        max_size=6,
    )
)
def test_a_written_calendar_reads_back_the_same(plans):
    calendar = {day.isoformat(): plan for day, plan in plans.items()}
    text = json.dumps({"calendar": calendar})
    assert parse_calendar(text, label="c", days=len(plans)).calendar == calendar
