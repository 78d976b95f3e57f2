"""What a changed prompt or model makes due: those steps, what is made from them, nothing else."""

from dataclasses import replace

import pytest

from producer.changes import Makers, Origins, changed_steps, followers
from producer.plan import plan_run
from tasks.origins import Models
from tasks.schemas.ledger import RunSnapshot, StoredDocument
from tasks.schemas.plan import STAGES as STAGE_NAMES
from tasks.schemas.plan import Request, Source
from tasks.stages.registry import STAGES

OLD = Makers(models=frozenset({Models(chat="old", vision="eye")}), renderers=frozenset({"tiny"}))
NEW = Makers(models=frozenset({Models(chat="new", vision="eye")}), renderers=OLD.renderers)
REQUEST = Request(
    sources=(Source(label="a", text="x"), Source(label="b", image_blob="b.png")),
    tweets=2,
    images=True,
    first_day="2026-12-01",
    image_size=(64, 64),
)


def snapshot(request: Request = REQUEST) -> RunSnapshot:
    """Build a run of which every step is done."""
    rows = {row.id: row for row in plan_run("r", request).steps}
    return RunSnapshot(
        run_id="r", request=request, state="finished", created_ms=0, finished_ms=1, now_ms=2,
        rows=rows, states=dict.fromkeys(rows, "done"), errors={}, names={}, counters={},
        cancelled=False, last_event="0-0",
    )  # fmt: skip


def content(part: str) -> dict[str, object]:
    """Write a document's contents."""
    if part == "calendar":
        return {"calendar": {"2026-12-01": {"topic": "one"}, "2026-12-02": {"topic": "two"}}}
    return {"image_prompt": f"picture of {part}", "text": part}


def written(run: RunSnapshot, makers: Makers = OLD) -> dict[str, StoredDocument]:
    """Write every document as these makers would."""
    documents = {step: content(step.partition(".")[2]) for step in run.rows}
    origins = Origins(run, documents)
    drawn = [step for step in run.rows if ".portrait" in step]
    return {
        step: StoredDocument(
            made_from=next(origins.of(step, makers), "?"), document=documents[step]
        )
        for step in run.rows
        if step not in drawn
    }


def raised(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """Give a stage another prompt version."""
    monkeypatch.setitem(STAGES, part, replace(STAGES[part], version="next"))  # type: ignore[arg-type]


def test_nothing_has_changed_while_prompts_and_models_are_the_same() -> None:
    run = snapshot()
    assert changed_steps(run, written(run), OLD) == set()


def test_a_changed_prompt_is_seen_where_it_was_used_and_followed_to_what_is_made_from_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = snapshot()
    documents = written(run)
    raised(monkeypatch, "strategy")
    changed = changed_steps(run, documents, OLD)
    assert changed == {"p0.strategy", "p1.strategy"}
    after = followers(run, {"p0.strategy"})
    assert after == {
        *("p0.examples", "p0.assemble", "p0.calendar", "p0.collect"),
        *("p0.t01", "p0.t02", "p0.i01", "p0.i02"),
    }


def test_a_changed_tweet_prompt_leaves_every_stage_and_calendar_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = snapshot()
    documents = written(run)
    raised(monkeypatch, "tweet")
    changed = changed_steps(run, documents, OLD)
    assert changed == {"p0.t01", "p0.t02", "p1.t01", "p1.t02"}
    assert {step.partition(".")[2] for step in followers(run, changed)} == {
        "collect", "i01", "i02",
    }  # fmt: skip


def test_another_model_changes_every_step_that_asked_one() -> None:
    run = snapshot()
    changed = changed_steps(run, written(run), NEW)
    asked = {*STAGE_NAMES, "calendar", "t01", "t02"}
    assert changed == {f"p{persona}.{part}" for persona in (0, 1) for part in asked}
    assert changed | followers(run, changed) == set(run.rows)


def test_another_model_that_looks_changes_only_who_came_from_a_picture() -> None:
    run = snapshot()
    other = replace(OLD, models=frozenset({Models(chat="old", vision="other")}))
    assert changed_steps(run, written(run), other) == {"p1.core"}


def test_another_renderer_changes_the_pictures_unless_the_run_named_its_own() -> None:
    other = replace(OLD, renderers=frozenset({"default"}))
    run = snapshot()
    assert {s.partition(".")[2] for s in changed_steps(run, written(run), other)} == {"i01", "i02"}
    named = snapshot(REQUEST.model_copy(update={"renderer": "tiny"}))
    assert changed_steps(named, written(named), other) == set()


def test_what_any_live_worker_would_make_again_is_not_changed() -> None:
    run = snapshot()
    both = replace(OLD, models=OLD.models | NEW.models)
    assert changed_steps(run, written(run), both) == set()


def test_nothing_is_judged_while_nobody_is_there_who_would_make_it() -> None:
    run = snapshot()
    nobody = Makers(models=frozenset(), renderers=frozenset())
    assert changed_steps(run, written(run), nobody) == set()


def test_a_given_calendar_asks_no_model() -> None:
    run = snapshot(REQUEST.model_copy(update={"calendars": ("{}",)}))
    assert "p0.calendar" not in changed_steps(run, written(run), NEW)
