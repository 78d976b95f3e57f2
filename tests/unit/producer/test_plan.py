"""Plans have every step, and each waits for the right ones."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.plan import plan_pictures, plan_run, window
from tasks.schemas.plan import STAGES, Request, Source
from tasks.schemas.steps import StepName
from tasks.stages.registry import STAGES as REGISTRY


def request(sources: int = 1, **fields: object) -> Request:
    """Build a request for some characters from text."""
    made = tuple(Source(label=f"s{i}", text="x") for i in range(sources))
    return Request.model_validate({"sources": made, **fields})


@given(sources=st.integers(1, 5), tweets=st.integers(0, 12), images=st.booleans())
def test_steps_are_unique_and_need_only_steps_of_the_plan_before_them(
    sources: int, tweets: int, images: bool
) -> None:
    plan = plan_run("r", request(sources, tweets=tweets, images=images))
    seen: set[str] = set()
    order = {row.id for row in plan.steps}
    assert len(order) == len(plan.steps)
    for row in plan.steps:
        assert set(row.needs) <= order
        seen.add(row.id)
        assert StepName.parse(row.id).persona == row.persona


def test_a_character_has_seven_stages_in_order_then_the_assembly() -> None:
    rows = plan_run("r", request()).steps
    assert [row.id for row in rows] == [f"p0.{part}" for part in (*STAGES, "assemble")]
    assert all(before.id in row.needs for before, row in pairwise(rows))
    assert set(rows[-1].needs) == {row.id for row in rows[:-1]}


def test_every_stage_waits_for_all_that_it_reads() -> None:
    rows = {row.id: row for row in plan_run("r", request()).steps}
    for part in STAGES:
        assert {f"p0.{read}" for read in REGISTRY[part].reads} <= set(rows[f"p0.{part}"].needs)


def test_in_batch_mode_a_stage_waits_only_for_what_it_reads_and_no_character_is_held_back() -> None:
    asked = request(batch_api=True, tweets=2)
    needs = {row.id: set(row.needs) for row in plan_run("r", asked).steps}
    assert needs["p0.core"] == set()
    for part in ("strategy", "social", "authenticity", "visual", "knowledge"):
        assert needs[f"p0.{part}"] == {"p0.core"}
    assert needs["p0.examples"] == {"p0.core", "p0.strategy"}
    assert needs["p0.assemble"] == {f"p0.{part}" for part in STAGES}
    assert needs["p0.calendar"] == {"p0.assemble"}
    assert window(asked, slots=20) == 0
    assert sum(row.calls for row in plan_run("r", asked).steps) == 0


def test_a_picture_waits_for_its_own_tweet_only() -> None:
    rows = {r.id: r for r in plan_run("r", request(tweets=3, images=True)).steps}
    assert rows["p0.i02"].needs == ("p0.t02",)
    assert rows["p0.collect"].needs == ("p0.t01", "p0.t02", "p0.t03")


def test_a_portrait_is_drawn_only_with_pictures_and_without_a_given_one() -> None:
    with_image = Request(sources=(Source(label="a", image_blob="b"),), images=True)
    assert "p0.portrait" in {r.id for r in plan_run("r", request(images=True)).steps}
    assert "p0.portrait" not in {r.id for r in plan_run("r", request(images=False)).steps}
    assert "p0.portrait" not in {r.id for r in plan_run("r", with_image).steps}


def test_a_character_from_a_card_has_no_chain() -> None:
    made = Request(kind="tweets", sources=(Source(label="a", card_json="{}"),), tweets=2)
    rows = plan_run("r", made).steps
    assert [row.id for row in rows] == ["p0.calendar", "p0.t01", "p0.t02", "p0.collect"]
    assert rows[0].needs == ()


@pytest.mark.parametrize(("tweets", "own", "made"), [(1, 61, 81), (10, 7, 27), (365, 2, 22)])
def test_of_characters_with_cards_as_many_begin_as_have_tweets_for_all_slots(
    tweets: int, own: int, made: int
) -> None:
    asked = request(kind="tweets", tweets=tweets)
    assert window(asked, slots=20) == made
    assert window(asked.model_copy(update={"calendars": ("{}",)}), slots=20) == own
    assert window(asked.model_copy(update={"max_concurrent": 1}), slots=20) <= 5
    assert window(request(tweets=tweets), slots=20) == 20


def test_a_plan_knows_how_many_calls_it_takes() -> None:
    assert plan_run("r", request()).calls == 11
    assert plan_run("r", request(tweets=21)).calls == 11 + 3 + 21
    assert plan_run("r", request(tweets=21, calendars=("{}",))).calls == 11 + 21
    seen = Request(sources=(Source(label="a", image_blob="b"),), images=True)
    assert plan_run("r", seen).calls == 12
    card = Request(kind="tweets", sources=(Source(label="a", card_json="{}"),), tweets=2)
    assert plan_run("r", card).calls == 1 + 2
    assert plan_pictures("r", request(1), (({"text": "a"},),)).calls == 0


def test_pictures_of_given_tweets_need_nothing() -> None:
    plan = plan_pictures("r", request(2), (({"text": "a"},), ({"text": "b"}, {"text": "c"})))
    assert [row.id for row in plan.steps] == ["p0.i01", "p1.i01", "p1.i02"]
    assert plan.documents["p1.t02"] == {"text": "c"}
