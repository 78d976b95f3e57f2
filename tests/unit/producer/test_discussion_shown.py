"""Discussions as a person reads them."""

import io

import pytest
from rich.console import Console

from producer.commands import discuss
from producer.discussions import SessionView
from tasks.schemas.discussions import QuestionDocument, SummaryDocument, TurnDocument

SESSION = "20261126-141332-t2jrabcd"


def session(position: int = 0) -> SessionView:
    """A session with a topic of two long lines."""
    return SessionView(
        session=SESSION, state="waiting" if position else "done", agents=("critic",), tokens=5241,
        topic="Should a small town keep its clock tower,\nand who pays for winding it every week?",
        position=position,
    )  # fmt: skip


def test_each_session_is_one_line_and_only_its_topic_is_cut() -> None:
    told = io.StringIO()
    Console(file=told, width=80).print(discuss.table_of([session(), session(position=12)]))
    head, *lines = told.getvalue().splitlines()
    assert head.split() == ["session", "state", "turns", "tokens", "topic"]
    assert [line.split("5,241")[0].split() for line in lines] == [
        [SESSION, "done", "0"],
        [SESSION, "waiting", "12", "0"],
    ]
    assert all(line.rstrip().endswith("…") for line in lines)


def test_a_summary_says_why_it_ended_and_keeps_its_indent(monkeypatch: pytest.MonkeyPatch) -> None:
    told = io.StringIO()
    monkeypatch.setattr(discuss, "data_console", Console(file=told, width=40))
    discuss.tell_summary(
        SummaryDocument(summary="Keep it.", agreements=("tick " * 20,), ended_by="consensus")
    )
    first, text, *agreed = told.getvalue().splitlines()
    assert (first, text) == ("Summary (AI-generated), as all agreed", "Keep it.")
    assert len(agreed) > 2
    assert all(line.startswith("  ") for line in agreed)


def test_each_question_comes_before_its_answers_also_one_that_has_none_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = io.StringIO()
    monkeypatch.setattr(discuss, "data_console", Console(file=told, width=80))
    discuss.show_view(
        session(position=2).model_copy(
            update={
                "topic": "Clocks",
                "turns": tuple(
                    TurnDocument(agent="critic", round=number, text=f"Said {number}.")
                    for number in (1, 2)
                ),
                "questions": tuple(
                    QuestionDocument(question=f"Asked {number}?", round=number) for number in (2, 3)
                ),
                "summary": SummaryDocument(summary="Keep it."),
            }
        )
    )
    assert [line for line in told.getvalue().splitlines() if line] == [
        "Clocks (waiting, place 2)",
        *("critic · round 1", "Said 1."),
        *("Summary (AI-generated), after all rounds", "Keep it."),
        *("Question", "Asked 2?", "critic · round 2", "Said 2."),
        *("Question", "Asked 3?"),
    ]
