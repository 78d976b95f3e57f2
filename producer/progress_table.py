"""How a run's progress looks on a terminal, from 60 columns up: rows, bars and a last line."""

from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from producer.batch_line import batch_line
from producer.duration import timer_text
from producer.printable import one_line
from producer.progress import PersonaProgress, PersonaState, RunProgress, Tally

ALL_ROWS = 12
SOME_ROWS = 10
_LINES_AROUND_ROWS = 10
_NARROWEST_NAME = 10
_ROOMY = 72
_BESIDE_BAR = 46

_ORDER: dict[PersonaState, int] = {"active": 0, "failed": 1, "waiting": 2, "done": 3}
_STYLES: dict[PersonaState, str] = {
    "active": "",
    "failed": "red",
    "waiting": "dim",
    "done": "green",
}


@dataclass(frozen=True, kw_only=True)
class Marks:
    """The signs for done and failed, and the few others that ASCII lacks."""

    done: str
    failed: str
    more: str
    dot: str
    full: str
    empty: str


Cell = Callable[[PersonaProgress, Marks], Text]


def marks_for(console: Console) -> Marks:
    """Pick signs that the console's encoding has."""
    if console.options.ascii_only:
        return Marks(done="ok", failed="failed", more="...", dot="-", full="#", empty="-")
    return Marks(done="✓", failed="✗", more="…", dot="·", full="━", empty="─")


def progress_table(progress: RunProgress, console: Console, *, title: str) -> list[RenderableType]:
    """Draw everything that one look at a run shows, top to bottom."""
    marks = marks_for(console)
    people = progress.personas()
    shown = shown_people(people, rows=_rows_that_fit(console.height))
    parts: list[RenderableType] = [
        Text(title, style="bold", overflow="ellipsis", no_wrap=True),
        _people_table(shown, console.width, marks),
    ]
    if len(shown) < len(people):
        parts.append(Text(f"  {rest_line(people, shown, marks)}", style="dim"))
    parts += [Text(""), _overall(progress, console.width, marks), _last_line(progress, marks)]
    waits = batch_line(progress.batch)
    return [*parts, Text(waits, overflow="ellipsis", no_wrap=True)] if waits else parts


def shown_people(people: tuple[PersonaProgress, ...], *, rows: int) -> tuple[PersonaProgress, ...]:
    """Choose whom to show: all if they fit, else those at work first, in the plan's order."""
    if len(people) <= min(ALL_ROWS, rows):
        return people
    chosen = sorted(people, key=lambda person: _ORDER[person.state])[: min(SOME_ROWS, rows)]
    return tuple(sorted(chosen, key=lambda person: person.index))


def rest_line(
    people: tuple[PersonaProgress, ...], shown: tuple[PersonaProgress, ...], marks: Marks
) -> str:
    """Count those who are not shown, by their state: `… and 88 more: 40 done, 48 waiting`."""
    inside = {person.index for person in shown}
    rest = [person.state for person in people if person.index not in inside]
    words: dict[PersonaState, str] = {
        "done": "done",
        "failed": "with failures",
        "active": "at work",
        "waiting": "waiting",
    }
    counts = [f"{rest.count(state)} {word}" for state, word in words.items() if state in rest]
    return f"{marks.more} and {len(rest)} more: {', '.join(counts)}"


def _rows_that_fit(height: int) -> int:
    return max(1, height - _LINES_AROUND_ROWS)


def _people_table(people: tuple[PersonaProgress, ...], width: int, marks: Marks) -> Table:
    columns = {
        header: [cell(person, marks) for person in people]
        for header, cell in _columns(people).items()
    }
    names = [Text(one_line(person.name), style=_STYLES[person.state]) for person in people]
    gap = 2 if width >= _ROOMY else 1
    rest = sum(gap + _widest(header, cells) for header, cells in columns.items())
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="dim")
    name_width = min(_widest("", names), max(_NARROWEST_NAME, width - rest))
    table.add_column("", width=name_width, no_wrap=True, overflow="ellipsis")
    for header in columns:
        table.add_column(header, no_wrap=True, overflow="ellipsis")
    for cells in zip(names, *columns.values(), strict=True):
        table.add_row(*cells)
    return table


def _widest(header: str, cells: list[Text]) -> int:
    return max(len(header), *(cell.cell_len for cell in cells))


def _columns(people: tuple[PersonaProgress, ...]) -> dict[str, Cell]:
    columns: dict[str, Cell] = {}
    if any(person.stages.total for person in people):
        columns |= {"stages": _stage_bar, " ": _stage_name}
    if any(person.tweets.total for person in people):
        columns["tweets"] = lambda person, marks: _count(person.tweets, marks)
    if any(person.pictures.total for person in people):
        columns["pictures"] = lambda person, marks: _count(person.pictures, marks)
    return columns


def _stage_bar(person: PersonaProgress, marks: Marks) -> Text:
    tally = person.stages
    text = Text(marks.full * tally.done, style="cyan")
    text.append(marks.full * tally.failed, style="red")
    return text.append(marks.empty * (tally.total - tally.settled), style="dim")


def _stage_name(person: PersonaProgress, marks: Marks) -> Text:
    if person.stages.failed:
        return Text(f"{marks.failed} {person.stage}", style="red")
    if person.stages.total and person.stages.done == person.stages.total:
        return Text(marks.done, style="green")
    return Text(person.stage, style="" if person.stage else "dim")


def _count(tally: Tally, marks: Marks) -> Text:
    if not tally.total:
        return Text("")
    text = Text(f"{tally.done}/{tally.total}", style="" if tally.settled else "dim")
    return text.append(f" {marks.failed}{tally.failed}", style="red") if tally.failed else text


def _overall(progress: RunProgress, width: int, marks: Marks) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    kinds = (
        ("characters", progress.characters),
        ("tweets", progress.tweets),
        ("pictures", progress.pictures),
    )
    for label, tally in kinds:
        if tally.total:
            bar = ProgressBar(tally.total, tally.settled, width=max(8, width - _BESIDE_BAR))
            done = Text(f"{marks.done} {tally.done}", style="green" if tally.done else "dim")
            failed = Text(f"{marks.failed} {tally.failed}", style="red" if tally.failed else "dim")
            table.add_row(label, bar, f"{tally.settled}/{tally.total}", done, failed)
    return table


def _last_line(progress: RunProgress, marks: Marks) -> Text:
    eta, rate = progress.eta_s, progress.rate
    parts = [f"{timer_text(progress.elapsed_s)} elapsed"]
    if eta:
        parts.append(f"about {timer_text(eta)} left")
    if rate:
        parts.append(f"{rate:.1f} steps/s")
    return Text(f" {marks.dot} ".join(parts), style="dim")
