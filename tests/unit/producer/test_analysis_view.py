"""What a person sees of an analysis under way: done, failed, rate and the time that is left."""

import io

from rich.console import Console

from producer.analyses import Order, plan_analysis, request_of
from producer.analysis_view import LINE_EVERY_S, AnalysisView
from tasks.schemas.analyses import Analysis
from tasks.schemas.ledger import RunSnapshot
from tasks.schemas.status import StepEvent

TOPICS = 10


def begun() -> RunSnapshot:
    """A round of ten topics at its beginning."""
    request = request_of(Order(analysis=Analysis(topics=tuple(map(str, range(TOPICS))))))
    rows = {row.id: row for row in plan_analysis("r", request).steps}
    return RunSnapshot(
        run_id="r", request=request, state="running", created_ms=0, finished_ms=None, now_ms=0,
        rows=rows, states={}, errors={}, names={}, counters={}, cancelled=False, last_event="0-0",
    )  # fmt: skip


def moved(view: AnalysisView, topic: int, part: str, state: str) -> None:
    """Let a step of a topic move."""
    event = {"id": "1-0", "step": f"p{topic}.{part}", "state": state, "at_ms": 1, "persona": topic}
    view.moves(StepEvent.model_validate(event))


def test_topics_are_counted_with_their_rate_and_the_time_that_is_left() -> None:
    now_s, told = [1000.0], io.StringIO()
    console = Console(file=told, width=80)
    with AnalysisView(console, iterations=3, clock=lambda: now_s[0]) as view:
        view.begins(2, begun())
        now_s[0] += LINE_EVERY_S / 2
        moved(view, 0, "search", "done")
        moved(view, 0, "analyze", "done")
        moved(view, 1, "analyze", "failed")
        assert view.figures() == "✓ 1  ✗ 1  0.8/s  about 0:10 left"
        now_s[0] += LINE_EVERY_S / 2
        view.moves(None)
    assert "[INFO] round 2/3  2/10  ✓ 1  ✗ 1  0.4/s  about 0:20 left" in told.getvalue()
