import io

import pytest
from rich.cells import cell_len
from rich.console import Console
from run_feeds import Clock, event, plan

from producer.progress import RunProgress
from producer.progress_table import ALL_ROWS, SOME_ROWS, marks_for, progress_table
from producer.watch import WatchView
from tasks.schemas.plan import StepRow


class Ascii(io.StringIO):
    """A stream that says it has no more than ASCII."""

    encoding = "ascii"


def console(width: int = 80, *, terminal: bool = True, file: io.StringIO | None = None) -> Console:
    return Console(
        file=file or io.StringIO(),
        force_terminal=terminal,
        color_system=None,
        width=width,
        height=40,
        legacy_windows=False,
    )


def busy(personas: int, *, done: int = 0, names: dict[int, str] | None = None) -> RunProgress:
    """A run whose first characters are done, while the two after them are at work."""
    rows = plan(personas=personas, tweets=10)
    run = RunProgress(rows, {}, names or {}, clock=Clock())
    for one in rows:
        if one.persona <= done:
            run.apply(event(one, "done", at_s=one.persona))
        elif one.persona <= done + 2 and one.id.endswith(".core"):
            run.apply(event(one, "running", at_s=done + 5))
    return run


def drawn(run: RunProgress, width: int = 80, *, file: io.StringIO | None = None) -> list[str]:
    target = console(width, file=file)
    with target.capture() as capture:
        for part in progress_table(run, target, title="castline run r1"):
            target.print(part)
    lines = capture.get().splitlines()
    assert max(map(cell_len, lines)) <= width
    return [line.rstrip() for line in lines]


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", ["Mei Lin", "林小雨" * 9, "A" * 70])
def test_every_line_fits_and_keeps_its_counts(width: int, name: str) -> None:
    run = busy(3, done=1, names={1: name, 2: name})
    lines = drawn(run, width)
    rows = [line.split() for line in lines if line.endswith("10/10")]
    assert len(rows) == 1
    assert rows[0][-2:] == ["10/10", "10/10"]
    assert sum(1 for line in lines if "core" in line) == 2


def test_the_longest_stage_and_counts_fit_into_sixty_columns() -> None:
    rows = plan(personas=1, tweets=100)
    run = RunProgress(rows, {}, {1: "Wilhelmina van der Berg"}, clock=Clock())
    for one in rows:
        if one.kind in {"tweet", "picture"}:
            run.apply(event(one, "done"))
        elif one.id == "p1.authenticity":
            run.apply(event(one, "running"))
    line = next(line for line in drawn(run, 60) if "authentic" in line)
    assert line.split()[-3:] == ["authenticity", "100/100", "100/100"]


def test_all_of_a_dozen_characters_are_shown() -> None:
    lines = drawn(busy(ALL_ROWS))
    assert sum(1 for line in lines if line.startswith("p")) >= ALL_ROWS
    assert not any("more:" in line for line in lines)


def test_of_many_characters_those_at_work_are_shown_and_the_rest_counted() -> None:
    lines = drawn(busy(100, done=40))
    shown = [line.split()[0] for line in lines if line.startswith("p") and line[1].isdigit()]
    assert shown == ["p41", "p42", *(f"p{index}" for index in range(43, 43 + SOME_ROWS - 2))]
    assert "  … and 90 more: 40 done, 50 waiting" in lines


def test_failures_are_marked_in_their_row_and_in_the_sum() -> None:
    rows = plan(personas=1, tweets=2)
    run = RunProgress(rows, {}, {}, clock=Clock())
    run.apply(event(next(one for one in rows if one.id == "p1.t01"), "failed"))
    lines = drawn(run)
    assert any(line.startswith("p1") and "0/2 ✗1" in line for line in lines)
    assert any(line.startswith("tweets") and "✗ 1" in line for line in lines)


def test_a_run_of_tweets_alone_shows_no_columns_of_other_kinds() -> None:
    rows = tuple(one for one in plan(tweets=2, images=False) if one.kind == "tweet")
    text = "\n".join(drawn(RunProgress(rows, {}, {}, clock=Clock())))
    assert "pictures" not in text
    assert "characters" not in text
    assert "0/2" in text


def test_a_terminal_without_unicode_gets_ascii() -> None:
    text = "\n".join(drawn(busy(20, done=15), file=Ascii()))
    assert text.isascii()
    assert "ok 15" in text


def test_a_name_cannot_move_the_cursor() -> None:
    text = "\n".join(drawn(busy(1, names={1: "Mei\x1b[2J\nLin"})))
    assert "\x1b" not in text
    assert "Mei [2J Lin" in text


def lines_of(rows: tuple[StepRow, ...], *, seconds_each: float, failing: str = "") -> list[str]:
    target = console(terminal=False)
    run = RunProgress(rows, {}, {1: "Mei Lin"}, clock=Clock())
    with WatchView(target, run, title="castline run r1") as view:
        for place, one in enumerate(rows):
            state = "failed" if one.id == failing else "done"
            note = "refused" if one.id == failing else ""
            view.update(event(one, state, at_s=place * seconds_each, note=note))  # type: ignore[arg-type]
    file = target.file
    assert isinstance(file, io.StringIO)
    return file.getvalue().splitlines()


def test_elsewhere_each_settled_character_is_one_plain_line() -> None:
    lines = lines_of(plan(personas=2, tweets=1), seconds_each=0.01)
    assert lines[0] == "[INFO] castline run r1"
    assert lines[1] == "[INFO] ✓ Mei Lin: tweets 1/1, pictures 1/1"
    assert lines[2] == "[INFO] ✓ p2: tweets 1/1, pictures 1/1"
    assert lines[3].endswith("✓ 6  ✗ 0")
    assert len(lines) == 4


def test_elsewhere_a_character_with_a_failure_says_so() -> None:
    lines = lines_of(plan(personas=1, tweets=0), seconds_each=0.01, failing="p1.assemble")
    assert lines[1] == "[INFO] ✗ Mei Lin: stopped at assemble (refused)"
    assert lines[2].endswith("✓ 0  ✗ 1")


def test_elsewhere_the_counts_come_every_five_seconds() -> None:
    lines = lines_of(plan(personas=1, tweets=3), seconds_each=2)
    counts = [line for line in lines if "characters" in line]
    # 16 events, 30 seconds: at 6, 12, 18, 24 and 30, and once more at the end.
    assert [line.split()[1] for line in counts] == ["0:06", "0:12", "0:18", "0:24", "0:30", "0:30"]


def test_a_quiet_run_is_told_of_by_ticks() -> None:
    clock, target = Clock(), console(terminal=False)
    view = WatchView(target, RunProgress(plan(), {}, {}, clock=clock), title="r1")
    file = target.file
    assert isinstance(file, io.StringIO)
    view.tick()
    assert file.getvalue() == ""
    clock.now_s += 6
    view.tick()
    view.tick()
    assert file.getvalue().count("characters 0/1") == 1


def test_a_terminal_is_left_clean_for_the_summary() -> None:
    target = console()
    rows = plan()
    with WatchView(target, RunProgress(rows, {}, {}, clock=Clock()), title="r1") as view:
        view.update(event(rows[0], "done"))
    file = target.file
    assert isinstance(file, io.StringIO)
    assert "[INFO]" not in file.getvalue()
    assert file.getvalue().rstrip().endswith("\x1b[2K")


def test_marks_are_words_where_signs_are_missing() -> None:
    assert marks_for(console(file=Ascii())).failed == "failed"
    assert marks_for(console()).failed == "✗"
