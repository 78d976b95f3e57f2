import io
from typing import Any

import run_exports as runs
from rich.console import Console

from producer.summary import final_summary, next_steps
from tasks.schemas.status import FailureLine, ItemCounts, RunStatus


def printed(status: RunStatus, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    final_summary(status, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def partial(failures: int, **changes: Any) -> RunStatus:
    return runs.status(
        state="partial",
        tweets=ItemCounts(total=100, done=100 - failures, failed=failures),
        failures=runs.failures(failures),
        **changes,
    )


def test_a_run_that_is_done_names_its_counts_and_its_folder() -> None:
    text = printed(runs.status(out="out/r1"))
    assert "Run r1 is done after 12.5 s." in text
    assert "12 model calls" in text
    assert "1,200 tokens" in text
    assert "out/r1/index.html" in text
    assert "retry" not in text


def test_failures_are_listed_up_to_ten_and_the_rest_counted() -> None:
    text = printed(partial(14))
    assert "✗ p1.t10" in text
    assert "✗ p1.t11" not in text
    assert "… and 4 more: castline status r1" in text
    assert "✓ 86" in text
    assert "✗ 14" in text
    assert "castline retry r1" in text


def test_ten_failures_are_all_that_there_are() -> None:
    assert "more" not in printed(partial(10))


def test_a_long_path_is_one_line_to_copy() -> None:
    out = "/very/long" * 20
    assert f"open {out}/index.html to look at it." in printed(runs.status(out=out), width=60)


def test_an_error_cannot_style_or_flood_the_terminal() -> None:
    failure = FailureLine(item="p1", stage="[red]core", error="[bold]\x1b[2J\n" + "x" * 5000)
    text = printed(runs.status(state="failed", failures=(failure,)))
    assert "\x1b" not in text
    assert "[bold]" in text
    assert "[red]core" in text
    assert len(text) < 1500


def test_kinds_that_the_run_has_none_of_are_left_out() -> None:
    text = printed(runs.status(images=ItemCounts()))
    assert "pictures" not in text
    assert "tweets" in text


def test_what_to_type_next_fits_the_runs_state() -> None:
    assert next_steps(runs.status(state="running")) == ("Follow it: castline watch r1",)
    assert next_steps(runs.status(state="cancelled")) == (
        "Fetch what there is: castline results r1 --out DIR",
    )
    assert next_steps(partial(1, out="o"))[-1] == "Try the failed steps again: castline retry r1"
