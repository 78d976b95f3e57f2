"""A run's standing adds up."""

from producer.plan import plan_run
from producer.standing import standing
from tasks.schemas.ledger import RunSnapshot
from tasks.schemas.plan import Request, Source, StepState


def snapshot(
    states: dict[str, StepState], *, state: str = "finished", cancelled: bool = False
) -> RunSnapshot:
    """Build a snapshot of one character with two tweets and pictures; what is unnamed is done."""
    request = Request(sources=(Source(label="x"),), tweets=2, images=True)
    rows = {row.id: row for row in plan_run("r", request).steps}
    full: dict[str, StepState] = dict.fromkeys(rows, "done")
    full.update(states)
    return RunSnapshot(
        run_id="r",
        request=request,
        state=state,
        created_ms=1000,
        finished_ms=3500 if state == "finished" else None,
        now_ms=4000,
        rows=rows,
        states=full,
        errors={s: "why" for s, v in states.items() if v == "failed" and s != "p0.i01"},
        names={},
        counters={"calls_made": 12.0, "tokens_prompt": 100.0},
        cancelled=cancelled,
        last_event="0-0",
    )


def test_a_run_whose_steps_are_all_done_is_done() -> None:
    status = standing(snapshot({}))
    assert status.state == "done"
    assert (status.personas.done, status.tweets.done, status.images.done) == (1, 2, 2)
    assert (status.seconds, status.calls.made, status.tokens.prompt) == (2.5, 12, 100)


def test_a_failed_tweet_makes_the_run_partial_and_is_the_only_failure_named() -> None:
    status = standing(snapshot({"p0.t01": "failed", "p0.i01": "failed"}))
    assert status.state == "partial"
    assert (status.tweets.failed, status.images.failed) == (1, 1)
    assert [(f.item, f.stage, f.error) for f in status.failures] == [("p0.t01", "tweet", "why")]


def test_a_run_that_made_nothing_failed() -> None:
    made = ("p0.core", "p0.assemble", "p0.t01", "p0.t02", "p0.i01", "p0.i02")
    bad: dict[str, StepState] = dict.fromkeys(made, "failed")
    assert standing(snapshot(bad)).state == "failed"


def test_a_cancelled_run_and_a_running_one_are_called_so() -> None:
    assert standing(snapshot({"p0.t01": "cancelled"}, cancelled=True)).state == "cancelled"
    assert standing(snapshot({"p0.t01": "running"}, state="running")).state == "running"


def test_a_run_that_was_cancelled_too_late_is_done() -> None:
    assert standing(snapshot({}, cancelled=True)).state == "done"
