"""Live progress of rounds of topics: a moving line on a terminal, plain ones elsewhere.

Counts topics, not steps; rate and time left come from the topics that have ended in this round.
"""

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from producer.duration import timer_text
from producer.progress_table import Marks, marks_for
from tasks.schemas.ledger import RunSnapshot
from tasks.schemas.plan import SETTLED
from tasks.schemas.status import StepEvent
from tasks.schemas.steps import StepName

LINE_EVERY_S = 5.0


class AnalysisView:
    """Shows the rounds of an analysis while it is entered; `iterations` 0 means for ever."""

    def __init__(
        self, console: Console, *, iterations: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._clock = clock
        self._iterations = iterations
        self._marks: Marks = marks_for(console)
        self._moves = console.is_terminal and not console.is_dumb_terminal
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.completed}/{task.total}"),
            TextColumn("{task.fields[figures]}"),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._states: dict[int, str] = {}
        self._total = 0
        self._begun_s = self._line_at_s = self._clock()
        self._title = ""

    def __enter__(self) -> "AnalysisView":
        if self._moves:
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._moves:
            self._progress.stop()

    def begins(self, number: int, snapshot: RunSnapshot) -> None:
        """Begin with a round."""
        of = f"/{self._iterations}" if self._iterations else ""
        self._title = f"round {number}{of}"
        self._states = {}
        self._total = sum(1 for row in snapshot.rows.values() if row.kind == "analysis")
        self._begun_s = self._line_at_s = self._clock()
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(self._title, total=self._total, figures="")

    def moves(self, event: StepEvent | None) -> None:
        """Take one event in, or None for time that passes."""
        if event is not None and event.step:
            name = StepName.parse(event.step)
            if name.part == "analyze" and event.state in SETTLED:
                self._states[name.persona] = event.state
        if self._task is not None:
            self._progress.update(self._task, completed=len(self._states), figures=self.figures())
        now_s = self._clock()
        if not self._moves and now_s - self._line_at_s >= LINE_EVERY_S:
            self._line_at_s = now_s
            line = f"[INFO] {self._title}  {len(self._states)}/{self._total}  {self.figures()}"
            self._console.out(line, highlight=False)

    def figures(self) -> str:
        """Say how many are done and failed, how fast, and how long it still takes."""
        done = sum(state == "done" for state in self._states.values())
        ended = len(self._states)
        seconds = self._clock() - self._begun_s
        parts = [f"{self._marks.done} {done}  {self._marks.failed} {ended - done}"]
        if ended and seconds > 0:
            rate = ended / seconds
            parts.append(f"{rate:.1f}/s")
            if left := self._total - ended:
                parts.append(f"about {timer_text(left / rate)} left")
        return "  ".join(parts)
