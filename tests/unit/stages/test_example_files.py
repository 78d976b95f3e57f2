"""The files in examples/ are what the documentation tells users to try first."""

from pathlib import Path

import pytest

from tasks.stages.calendar import parse_calendar

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize(
    "name",
    ["lighthouse-keeper.md", "night-baker.md", "orbital-gardener.md", "tea-master.zh.md"],
)
def test_a_brief_is_short_text_under_a_heading(name):
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert 200 < len(text) < 2000


def test_the_example_calendar_plans_the_first_fourteen_days_of_december():
    text = (EXAMPLES / "calendar.json").read_text(encoding="utf-8")
    calendar = parse_calendar(text, label="calendar.json", days=14).calendar
    assert list(calendar) == [f"2026-12-{day:02d}" for day in range(1, 15)]
    assert all(plan["topic"] and plan["image_idea"] for plan in calendar.values())
