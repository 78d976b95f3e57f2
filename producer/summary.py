"""What a waiting command says when its run has ended: counts, failures, folder, what next."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from producer.batch_line import batch_line
from producer.duration import clock_text
from producer.printable import one_line
from producer.progress_table import Marks, marks_for
from tasks.schemas.plan import RunState
from tasks.schemas.status import FailureLine, ItemCounts, RunStatus

MOST_FAILURES = 10
_LONGEST_ERROR = 200

_WORDS: dict[RunState, tuple[str, str]] = {
    "submitting": ("is being submitted", "yellow"),
    "incomplete": ("is incomplete: its submission was cut short", "yellow"),
    "running": ("is still running", "yellow"),
    "done": ("is done", "green"),
    "partial": ("finished with failures", "yellow"),
    "failed": ("failed", "red"),
    "cancelled": ("was cancelled", "yellow"),
}


def final_summary(status: RunStatus, console: Console) -> None:
    """Print the end of a run for a person; give it a console on stderr."""
    marks = marks_for(console)
    words, style = _WORDS[status.state]
    console.print(Text(f"Run {status.run_id} {words} after {clock_text(status.seconds)}.", style))
    console.print(_counts(status, marks))
    console.print(Text(f"  {_costs(status)}", style="dim"))
    if waits := batch_line(status.batch):
        console.print(Text(f"  {waits}"))
    if status.failures:
        console.print(_failures(status.failures[:MOST_FAILURES], marks))
    if len(status.failures) > MOST_FAILURES:
        more = len(status.failures) - MOST_FAILURES
        console.print(Text(f"  {marks.more} and {more} more: castline status {status.run_id}"))
    for line in next_steps(status):
        # Not wrapped: a path or a command broken over two lines cannot be copied.
        console.print(Text(line), soft_wrap=True)


def next_steps(status: RunStatus) -> tuple[str, ...]:
    """Name the folder if there is one, and the command that fits the run's state."""
    run, lines = status.run_id, []
    if status.out:
        lines.append(f"Written to {status.out} - open {status.out}/index.html to look at it.")
    if status.state in {"submitting", "running"}:
        lines.append(f"Follow it: castline watch {run}")
    elif status.state == "incomplete":
        lines.append(f"Finish it: castline retry {run} - or remove it: castline cancel {run}")
    elif status.failures:
        lines.append(f"Try the failed steps again: castline retry {run}")
    if not status.out and status.state in {"done", "partial", "cancelled"}:
        lines.append(f"Fetch what there is: castline results {run} --out DIR")
    return tuple(lines)


def _counts(status: RunStatus, marks: Marks) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    kinds = {"characters": status.personas, "tweets": status.tweets, "pictures": status.images}
    kinds["topics"] = status.topics or ItemCounts()
    for label, counts in kinds.items():
        if counts.total:
            table.add_row(f"  {label}", f"{counts.done}/{counts.total}", *_signs(counts, marks))
    return table


def _signs(counts: ItemCounts, marks: Marks) -> tuple[Text, Text]:
    return (
        Text(f"{marks.done} {counts.done}", style="green"),
        Text(f"{marks.failed} {counts.failed}", style="red" if counts.failed else "dim"),
    )


def _costs(status: RunStatus) -> str:
    calls, tokens = status.calls, status.tokens
    return (
        f"{calls.made:,} model calls ({calls.retried:,} retried, {calls.cached:,} from the cache), "
        f"{tokens.prompt + tokens.completion:,} tokens"
    )


def _failures(failures: tuple[FailureLine, ...], marks: Marks) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for header in ("  item", "stage"):
        table.add_column(header, no_wrap=True)
    table.add_column("error", overflow="fold")
    for failure in failures:
        item = Text(f"{marks.failed} {failure.item}", style="red")
        table.add_row(item, Text(one_line(failure.stage)), Text(_short(failure.error, marks)))
    return table


def _short(error: str, marks: Marks) -> str:
    text = one_line(error)
    return text if len(text) <= _LONGEST_ERROR else text[:_LONGEST_ERROR] + marks.more
