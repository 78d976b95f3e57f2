"""Live progress of a run on a console: a moving table on a terminal, plain lines elsewhere.

How far the run is, `progress` works out; where the events come from is the caller's business.
"""

from threading import Lock
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live

from producer.batch_line import batch_line
from producer.duration import timer_text
from producer.printable import one_line
from producer.progress import PersonaProgress, RunProgress, Tally
from producer.progress_table import Marks, marks_for, progress_table
from tasks.schemas.batches import BatchStanding
from tasks.schemas.status import StepEvent

LINE_EVERY_S = 5.0
SAME_LINE_EVERY_S = 60.0
_REFRESH_PER_S = 4


class WatchView:
    """Shows a run's progress while it is entered; give it a console on stderr.

    On a terminal the picture is redrawn four times a second and wiped at the end, so that the
    summary stands in its place. Elsewhere there is one line for each character that settles and,
    at most every five seconds, one with the counts (every minute while a run only waits for a
    batch); only `update` and `tick` write lines, so a caller that waits long for events calls
    `tick` meanwhile.
    """

    def __init__(self, console: Console, progress: RunProgress, *, title: str) -> None:
        self._console = console
        self._progress = progress
        self._title = title
        self._marks = marks_for(console)
        self._moves = console.is_terminal and not console.is_dumb_terminal
        # The redraw comes from a thread of its own, and must not see half an event.
        self._lock = Lock()
        self._live = Live(
            console=console,
            get_renderable=self._picture,
            refresh_per_second=_REFRESH_PER_S,
            transient=True,
        )
        self._line_at_s = 0.0
        self._waits = ""

    def __enter__(self) -> "WatchView":
        if self._moves:
            self._live.start()
        else:
            self._line(self._title)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._moves:
            self._live.stop()
        else:
            self._line(counts_line(self._progress, self._marks))

    def update(self, event: StepEvent) -> None:
        """Take one event in and show it; safe while the picture is being redrawn."""
        with self._lock:
            before = self._state_of(event.persona)
            self._progress.apply(event)
            after = self._state_of(event.persona)
        if self._moves:
            return
        if event.persona is not None and after != before and after in {"done", "failed"}:
            person = self._progress.persona(event.persona)
            self._line(character_line(person, self._marks, note=event.note))
        self.tick()

    def waits(self, batch: BatchStanding | None) -> None:
        """Take in how the run's batches stand."""
        with self._lock:
            self._progress.batch = batch

    def tick(self) -> None:
        """Write the line with the counts if it is due; nothing on a terminal."""
        elapsed_s = self._progress.elapsed_s
        if not self._moves and elapsed_s - self._line_at_s >= LINE_EVERY_S:
            waits = batch_line(self._progress.batch)
            if waits and waits == self._waits and elapsed_s - self._line_at_s < SAME_LINE_EVERY_S:
                return
            self._line_at_s, self._waits = elapsed_s, waits
            self._line(counts_line(self._progress, self._marks))
            if waits:
                self._line(waits)

    def _state_of(self, persona: int | None) -> str:
        return "" if persona is None else self._progress.persona(persona).state

    def _line(self, text: str) -> None:
        self._console.out(f"[INFO] {text}", highlight=False)

    def _picture(self) -> RenderableType:
        with self._lock:
            return Group(*progress_table(self._progress, self._console, title=self._title))


def counts_line(progress: RunProgress, marks: Marks) -> str:
    """Say in one line how the run stands: time, counts, what is left, `✓` done and `✗` failed."""
    counts = (
        ("characters", progress.characters),
        ("tweets", progress.tweets),
        ("pictures", progress.pictures),
    )
    parts = [f"{name} {_of(tally)}" for name, tally in counts if tally.total]
    items = Tally(
        done=sum(tally.done for _, tally in counts), failed=sum(tally.failed for _, tally in counts)
    )
    eta = progress.eta_s
    left = f"about {timer_text(eta)} left" if eta else ""
    ends = f"{marks.done} {items.done}  {marks.failed} {items.failed}"
    return "  ".join(filter(None, (timer_text(progress.elapsed_s), *parts, left, ends)))


def character_line(persona: PersonaProgress, marks: Marks, *, note: str = "") -> str:
    """Say in one line how a character that settled came out."""
    whole = persona.state == "done"
    counts = (("tweets", persona.tweets), ("pictures", persona.pictures))
    parts = [f"{name} {_of(tally)}" for name, tally in counts if tally.total]
    if persona.stages.failed:
        parts.insert(0, f"stopped at {persona.stage}")
    ending = f" ({one_line(note)})" if note and not whole else ""
    outcome = ", ".join(parts) or "done"
    return f"{marks.done if whole else marks.failed} {persona.name}: {outcome}{ending}"


def _of(tally: Tally) -> str:
    return f"{tally.done}/{tally.total}"
