import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_feeds import Clock, event, plan, row

from producer.progress import RunProgress, Tally
from tasks.schemas.plan import SETTLED, STAGES, StepRow
from tasks.schemas.status import StepEvent


def progress(rows: tuple[StepRow, ...], clock: Clock | None = None) -> RunProgress:
    return RunProgress(rows, {}, {}, clock=clock or Clock())


def step(rows: tuple[StepRow, ...], name: str) -> StepRow:
    return next(row for row in rows if row.id == name)


def test_a_character_counts_its_stages_assembly_and_calendar() -> None:
    rows = plan(tweets=2)
    person = progress(rows).persona(1)
    assert person.stages == Tally(total=len(STAGES) + 2)
    assert person.tweets == person.pictures == Tally(total=2)
    assert (person.state, person.stage, person.name) == ("waiting", "", "p1")


def test_the_stage_at_work_is_named() -> None:
    rows = plan()
    run = progress(rows)
    run.apply(event(step(rows, "p1.core"), "running"))
    assert run.persona(1).stage == "core"
    run.apply(event(step(rows, "p1.core"), "done"))
    assert run.persona(1).stage == "strategy"
    run.apply(event(step(rows, "p1.visual"), "running"))
    assert run.persona(1).stage == "visual"
    assert run.persona(1).stages == Tally(total=9, done=1)


def test_a_failed_stage_is_named_and_not_what_failed_with_it() -> None:
    rows = plan(tweets=0)
    run = progress(rows[::-1])  # Redis tells them in any order
    run.apply(event(rows[0], "done"))
    for later in rows[1:]:
        run.apply(event(later, "failed"))
    person = run.persona(1)
    assert (person.state, person.stage) == ("failed", "strategy")
    assert person.stages == Tally(total=8, done=1, failed=7)
    assert run.characters == Tally(total=1, failed=1)


def test_a_character_is_done_when_every_step_is() -> None:
    rows = plan(tweets=1)
    run = progress(rows)
    for one in rows[:-1]:
        run.apply(event(one, "done"))
    assert run.persona(1).state == "active"
    assert run.apply(event(rows[-1], "done")).persona(1).state == "done"
    assert run.persona(1).stage == ""
    assert run.characters == run.tweets == run.pictures == Tally(total=1, done=1)


@pytest.mark.parametrize("state", sorted(SETTLED - {"done"}))
def test_what_will_not_be_done_counts_as_failed(state: str) -> None:
    rows = plan(tweets=2)
    run = progress(rows)
    run.apply(StepEvent(id="1-0", step="p1.t01", state=state, at_ms=1))  # type: ignore[arg-type]
    assert run.tweets == Tally(total=2, failed=1)


def test_a_retried_step_counts_as_due_again() -> None:
    rows = plan(tweets=1)
    run = progress(rows)
    tweet = step(rows, "p1.t01")
    run.apply(event(tweet, "failed")).apply(event(tweet, "waiting"))
    assert run.tweets == Tally(total=1)
    assert run.apply(event(tweet, "done")).tweets == Tally(total=1, done=1)


def test_a_repeated_event_changes_nothing() -> None:
    rows = plan()
    run = progress(rows)
    for _ in range(3):
        run.apply(event(step(rows, "p1.t01"), "done"))
    assert run.tweets == Tally(total=2, done=1)
    assert run.settled.done == 1


def test_the_state_before_the_first_event_is_taken_in() -> None:
    run = RunProgress(plan(), {"p1.core": "done", "p1.t01": "failed"}, {1: "Mei"}, clock=Clock())
    assert run.persona(1).name == "Mei"
    assert run.persona(1).stages.done == 1
    assert run.tweets.failed == 1


def test_a_name_that_is_known_later_is_shown_then() -> None:
    names: dict[int, str] = {}
    run = RunProgress(plan(), {}, names, clock=Clock())
    names[1] = "Mei Lin"
    assert run.persona(1).name == "Mei Lin"


def test_the_runs_own_events_tell_its_state_and_unknown_steps_nothing() -> None:
    run = progress(plan())
    run.apply(StepEvent(id="1-0", step="", state="finished", at_ms=1))
    run.apply(StepEvent(id="2-0", step="p9.core", state="done", at_ms=2, persona=9))
    assert run.run_state == "finished"
    assert run.settled.settled == 0
    assert [person.index for person in run.personas()] == [1]


def test_without_events_there_is_no_rate_and_no_estimate() -> None:
    clock = Clock()
    run = progress(plan(), clock)
    clock.now_s += 5
    assert run.elapsed_s == 5
    assert run.rate == 0
    assert run.eta_s is None


def test_the_estimate_is_what_is_left_at_the_rate_of_now() -> None:
    rows = tuple(row(f"p1.t{slot:02d}", "tweet") for slot in range(1, 31))
    run = progress(rows)
    run.apply(event(rows[0], "running", at_s=0))
    for place, one in enumerate(rows[:10], start=1):
        run.apply(event(one, "done", at_s=place))
    assert run.elapsed_s == pytest.approx(10)
    assert run.rate == pytest.approx(1.0)
    assert run.eta_s == pytest.approx(20)


def test_the_rate_forgets_what_is_over_a_minute_old() -> None:
    clock = Clock()
    rows = tuple(row(f"p1.t{slot:02d}", "tweet") for slot in range(1, 4))
    run = progress(rows, clock)
    run.apply(event(rows[0], "done", at_s=0))
    run.apply(event(rows[1], "done", at_s=90))
    assert run.rate == pytest.approx(1 / 60)
    clock.now_s += 61
    assert run.rate == 0
    assert run.eta_s is None


def test_a_replayed_history_gives_the_rate_that_the_run_had() -> None:
    rows = tuple(row(f"p1.t{slot:02d}", "tweet") for slot in range(1, 21))
    run = progress(rows)
    for place, one in enumerate(rows[:10]):
        run.apply(event(one, "done", at_s=place * 4))
    assert run.elapsed_s == pytest.approx(36)
    assert run.rate == pytest.approx(10 / 36)


def test_a_run_that_is_over_has_nothing_left() -> None:
    rows = plan(tweets=0)
    run = progress(rows)
    for one in rows:
        run.apply(event(one, "done"))
    assert run.eta_s == 0


STATES = st.sampled_from(["waiting", "running", "done", "failed", "cancelled", "quarantined"])


@given(st.lists(st.tuples(st.integers(0, 22), STATES), max_size=60))
def test_counts_always_agree_with_the_steps_own_states(moves: list[tuple[int, str]]) -> None:
    rows = plan(personas=2, tweets=1)
    run, states = progress(rows), {}
    for place, state in moves:
        one = rows[place]
        states[one.id] = state
        run.apply(event(one, state))  # type: ignore[arg-type]
    done = sum(1 for state in states.values() if state == "done")
    failed = sum(1 for state in states.values() if state in SETTLED) - done
    assert run.settled == Tally(total=len(rows), done=done, failed=failed)
