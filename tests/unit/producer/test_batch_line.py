"""What a run in batch mode is said to wait for."""

from io import StringIO

import pytest
from rich.console import Console

from producer.batch_line import batch_line
from producer.progress import RunProgress
from producer.watch import LINE_EVERY_S, SAME_LINE_EVERY_S, WatchView
from tasks.schemas.batches import BatchStanding
from tasks.schemas.plan import StepRow

ONE = BatchStanding(asked=40, back=12, submitted=28, batches=("batch_" + "6" * 32,))


@pytest.mark.parametrize(
    ("standing", "said"),
    [
        (None, ""),
        (BatchStanding(asked=4, back=4), ""),
        (
            BatchStanding(asked=4, back=2, pending=2),
            "gathering calls for the provider's batch (2 of 4 calls back)",
        ),
        (ONE, "waiting for the provider's batch (12 of 40 calls back, batch_666666...)"),
        (
            BatchStanding(asked=40, back=12, submitted=28, batches=("a", "b")),
            "waiting for the provider's batch (12 of 40 calls back, 2 batches)",
        ),
    ],
)
def test_the_line_says_what_is_waited_for(standing: BatchStanding | None, said: str) -> None:
    assert batch_line(standing) == said


def test_the_line_fits_80_columns_for_as_many_calls_as_a_batch_takes() -> None:
    large = BatchStanding(asked=50_000, back=49_999, submitted=1, batches=ONE.batches)
    assert len(batch_line(large)) <= 80


def test_without_a_terminal_a_wait_that_does_not_change_is_told_once_a_minute() -> None:
    now = [0.0]
    console = Console(file=StringIO(), width=80)
    step = StepRow(id="p0.core", kind="stage", item="p0", persona=0)
    progress = RunProgress([step], {}, {}, clock=lambda: now[0])
    view = WatchView(console, progress, title="r")
    view.waits(ONE)
    while now[0] < 2 * SAME_LINE_EVERY_S:
        now[0] += LINE_EVERY_S
        view.tick()
    told = console.file.getvalue().count("waiting for the provider's batch")  # type: ignore[attr-defined]
    assert told == 2
    view.waits(ONE.model_copy(update={"back": 13}))
    now[0] += LINE_EVERY_S
    view.tick()
    assert "13 of 40" in console.file.getvalue()  # type: ignore[attr-defined]
