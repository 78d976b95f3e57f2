"""Topics, plan, times and report of an analysis: the pure parts."""

from typing import Any

import pytest

from producer.analyses import Order, cleaned, plan_analysis, request_of
from producer.analysis_results import Round, report, times
from producer.plan import window
from tasks.errors import BadInputError
from tasks.schemas.analyses import Analysis, TopicResult
from tasks.schemas.status import StepEvent
from tasks.store.rows import held_back


def order(**analysis: Any) -> Order:
    """Build an order of three topics."""
    return Order(analysis=Analysis(topics=("a", "b", "c"), **analysis), concurrency=2)


def test_each_topic_has_a_search_and_an_analysis_that_needs_it() -> None:
    rows = plan_analysis("r", request_of(order())).steps
    assert [row.id for row in rows[:2]] == ["p0.search", "p0.analyze"]
    assert rows[1].needs == ("p0.search",)
    assert len(rows) == 6


@pytest.mark.parametrize(("given", "held"), [(0, ["p2.search"]), (1, ["p1.search", "p2.search"])])
def test_as_many_topics_are_begun_as_there_are_calls_unless_a_batch_says_otherwise(
    given: int, held: list[str]
) -> None:
    request = request_of(order(batch_size=given))
    rows = plan_analysis("r", request).steps
    assert held_back(rows, window(request, slots=20)) == held


def test_topics_are_cleaned_and_kept_once() -> None:
    assert cleaned(["  a  b ", "c", "a b"]) == (("a b", "c"), ("a b",))


@pytest.mark.parametrize(
    ("topics", "words"),
    [([], "no topic"), (["a", " "], "topic 2 is empty"), (["x" * 4001], "4,001 characters")],
)
def test_topics_that_cannot_be_used_are_refused(topics: list[str], words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        cleaned(topics)


def event(step: str, state: Any, at_ms: int) -> StepEvent:
    """Build an event of topic 0."""
    return StepEvent(id="1-0", step=step, state=state, at_ms=at_ms, persona=0)


def test_a_topics_time_is_what_its_steps_ran_without_the_waits_between() -> None:
    history = [
        event("p0.search", "running", 1000),
        event("p0.search", "done", 1500),
        event("p0.analyze", "running", 4000),
        event("p0.analyze", "waiting", 4250),
        event("p0.analyze", "running", 9000),
        event("p0.analyze", "failed", 9250),
    ]
    assert times(history) == {0: (1.0, 9250)}


def test_a_report_sums_up_all_rounds() -> None:
    good = TopicResult(topic="a", success=True, execution_time=2, search_results_count=3)
    bad = TopicResult(topic="b", success=False, error_message="no", execution_time=1)
    rounds = [Round(number=n, run_id=str(n), results=(good, bad), seconds=5) for n in (1, 2)]
    told = report(rounds, config={"iterations": 2}, seconds=11.5)
    summary = told["summary"]
    counts = [summary[key] for key in ("total_tasks", "successful_tasks", "failed_tasks")]
    assert counts == [4, 2, 2]
    assert (summary["total_execution_time"], summary["average_execution_time"]) == (11.5, 1.5)
    assert [one["search_results"] for one in summary["config"]["rounds"]] == [3, 3]
