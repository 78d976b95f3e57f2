"""The rows of a discussion, and what its agents are shown."""

from producer.discussions import plan_discussion, round_rows
from producer.roles import chosen_agents
from tasks.schemas.discussions import Discussion, Order, QuestionDocument, TurnDocument
from tasks.schemas.plan import Request
from tasks.stages.discussion import TRANSCRIPT_CHARACTERS, transcript


def discussion(order: Order) -> Discussion:
    """Two agents, two rounds."""
    agents = chosen_agents(["scientist", "critic"], None)
    return Discussion(topic="Clocks", agents=agents, rounds=2, order=order)


def needs(order: Order) -> dict[str, tuple[str, ...]]:
    """Say what each step of the plan waits for."""
    request = Request(kind="discussion", sources=(), discussion=discussion(order))
    return {row.id: row.needs for row in plan_discussion("r", request).steps}


def test_in_turns_everybody_waits_for_the_one_before() -> None:
    assert needs("turns") == {
        "p0.s01": (),
        "p1.s01": ("p0.s01",),
        "p0.s02": ("p1.s01",),
        "p1.s02": ("p0.s02",),
        "p0.summary": ("p1.s02",),
    }


def test_together_everybody_waits_for_the_round_before() -> None:
    both = ("p0.s01", "p1.s01")
    assert needs("together") == {
        "p0.s01": (),
        "p1.s01": (),
        "p0.s02": both,
        "p1.s02": both,
        "p0.summary": ("p0.s02", "p1.s02"),
    }


def test_a_round_of_a_question_comes_after_what_is_open() -> None:
    rows, ending = round_rows(discussion("turns"), 3, ("p0.summary",))
    assert [(row.id, row.needs) for row in rows] == [
        ("p0.s03", ("p0.summary",)),
        ("p1.s03", ("p0.s03",)),
    ]
    assert ending == ("p1.s03",)


def test_the_transcript_leaves_out_skipped_turns_and_the_oldest_when_it_is_too_long() -> None:
    said = [
        TurnDocument(agent="critic", round=1, text="old " * TRANSCRIPT_CHARACTERS),
        TurnDocument(agent="critic", round=2, skipped="budget"),
        QuestionDocument(question="Who winds them?", round=3),
        TurnDocument(agent="critic", round=3, text="Nobody does."),
    ]
    assert transcript(said) == (
        "(earlier turns are left out)\nA question from outside: Who winds them?\n"
        "critic (round 3): Nobody does."
    )
