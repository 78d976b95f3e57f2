"""How far a run is, worked out from its plan and its events; showing it is `watch`'s business."""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.schemas.batches import BatchStanding
from tasks.schemas.plan import SETTLED, StepRow
from tasks.schemas.status import StepEvent

Group = Literal["character", "tweet", "picture", "other"]
PersonaState = Literal["waiting", "active", "done", "failed"]

RATE_WINDOW_S = 60.0

_GROUPS: Mapping[str, Group] = {
    "stage": "character",
    "calendar": "character",
    "tweet": "tweet",
    "picture": "picture",
}


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How many there are, are done, have failed (or were cancelled or quarantined)."""

    total: int = 0
    done: int = 0
    failed: int = 0

    @property
    def settled(self) -> int:
        """Count what needs no more work."""
        return self.done + self.failed


@dataclass(frozen=True, kw_only=True)
class PersonaProgress:
    """One character: `stages` counts its stages, assembly and calendar; `stage` is the one now.

    `stage` is "" before the first and after the last; after a failure it names what failed.
    """

    index: int
    name: str
    state: PersonaState
    stages: Tally
    stage: str
    tweets: Tally
    pictures: Tally


class RunProgress:
    """A run's progress; `apply` moves it on.

    `states` holds the steps that are not `waiting` any more, `names` what to call a character
    (`p3` else); a mapping that the caller adds to later is read afresh each time. `clock` counts
    seconds and never goes back. Times between events are Redis time, so a replayed history gives
    the rate that the run really had, and a wrong clock on this machine does no harm. `batch` is the
    caller's to set, for a run in batch mode.
    """

    def __init__(
        self,
        steps: Sequence[StepRow],
        states: Mapping[str, str],
        names: Mapping[int, str],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._names = names
        self._rows = {step.id: step for step in steps}
        self._states = {step.id: states.get(step.id, "waiting") for step in steps}
        self._by_persona: dict[int, list[StepRow]] = {}
        self._counts: Counter[tuple[int, Group, str]] = Counter()
        for step in steps:
            self._by_persona.setdefault(step.persona, []).append(step)
            self._counts[self._place(step)] += 1
        self._settled_at_s: deque[float] = deque()
        self._first_s: float | None = None
        self._last_s = 0.0
        self._seen_s = clock()
        self.run_state = ""
        self.batch: BatchStanding | None = None

    def apply(self, event: StepEvent) -> "RunProgress":
        """Take one event in; a step that the plan does not know only moves the time on."""
        self._note_time(event.at_ms / 1000)
        row = self._rows.get(event.step)
        if not event.step:
            self.run_state = event.state
        elif row is not None:
            self._move(row, event)
        return self

    @property
    def elapsed_s(self) -> float:
        """Seconds since the first event; before any, since this object was made."""
        if self._first_s is None:
            return self._clock() - self._seen_s
        return self._now_s() - self._first_s

    @property
    def rate(self) -> float:
        """Steps that settled per second, over the last minute."""
        now = self._now_s()
        while self._settled_at_s and self._settled_at_s[0] < now - RATE_WINDOW_S:
            self._settled_at_s.popleft()
        span = min(RATE_WINDOW_S, self.elapsed_s)
        return len(self._settled_at_s) / span if span > 0 else 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds until all steps have settled at the present rate; None when there is no rate.

        Crude while a run changes from characters to tweets to pictures: their paces differ.
        """
        left = sum(count for (_, _, state), count in self._counts.items() if state not in SETTLED)
        if left == 0:
            return 0.0
        return left / self.rate if self.rate > 0 else None

    @property
    def tweets(self) -> Tally:
        """Count all tweets of the run."""
        return self._sum("tweet")

    @property
    def pictures(self) -> Tally:
        """Count all pictures of the run, portraits aside."""
        return self._sum("picture")

    @property
    def characters(self) -> Tally:
        """Count characters: done when the card and the calendar are, failed when one cannot be."""
        stages = [self._tally(index, "character") for index in self._by_persona]
        return Tally(
            total=sum(1 for tally in stages if tally.total),
            done=sum(1 for tally in stages if tally.total and tally.done == tally.total),
            failed=sum(1 for tally in stages if tally.failed),
        )

    @property
    def settled(self) -> Tally:
        """Count steps of every kind."""
        groups: tuple[Group, ...] = ("character", "tweet", "picture", "other")
        tallies = [self._sum(group) for group in groups]
        return Tally(
            total=len(self._rows),
            done=sum(tally.done for tally in tallies),
            failed=sum(tally.failed for tally in tallies),
        )

    def persona(self, index: int) -> PersonaProgress:
        """Say how far one character is; KeyError when the plan has no such character."""
        return PersonaProgress(
            index=index,
            name=self._names.get(index) or f"p{index}",
            state=self._persona_state(index),
            stages=self._tally(index, "character"),
            stage=self._stage(index),
            tweets=self._tally(index, "tweet"),
            pictures=self._tally(index, "picture"),
        )

    def personas(self) -> tuple[PersonaProgress, ...]:
        """Say how far every character is, in the plan's order."""
        return tuple(self.persona(index) for index in self._by_persona)

    def _move(self, row: StepRow, event: StepEvent) -> None:
        before = self._states[row.id]
        self._counts[self._place(row)] -= 1
        self._states[row.id] = event.state
        self._counts[self._place(row)] += 1
        if event.state in SETTLED and before not in SETTLED:
            self._settled_at_s.append(event.at_ms / 1000)

    def _place(self, row: StepRow) -> tuple[int, Group, str]:
        return row.persona, _GROUPS.get(row.kind, "other"), self._states[row.id]

    def _note_time(self, at_s: float) -> None:
        self._first_s = at_s if self._first_s is None else min(self._first_s, at_s)
        if at_s >= self._last_s:
            self._last_s, self._seen_s = at_s, self._clock()

    def _now_s(self) -> float:
        return self._last_s + self._clock() - self._seen_s

    def _tally(self, index: int, group: Group) -> Tally:
        counts = {
            state: count
            for state in ("waiting", "running", *SETTLED)
            if (count := self._counts[index, group, state])
        }
        done = counts.get("done", 0)
        settled = sum(count for state, count in counts.items() if state in SETTLED)
        return Tally(total=sum(counts.values()), done=done, failed=settled - done)

    def _sum(self, group: Group) -> Tally:
        tallies = [self._tally(index, group) for index in self._by_persona]
        return Tally(
            total=sum(tally.total for tally in tallies),
            done=sum(tally.done for tally in tallies),
            failed=sum(tally.failed for tally in tallies),
        )

    def _persona_state(self, index: int) -> PersonaState:
        states = {self._states[row.id] for row in self._by_persona[index]}
        if states <= SETTLED:
            return "done" if states == {"done"} else "failed"
        return "waiting" if states == {"waiting"} else "active"

    def _stage(self, index: int) -> str:
        rows = [row for row in self._by_persona[index] if _GROUPS.get(row.kind) == "character"]
        for wanted in (SETTLED - {"done"}, {"running"}, {"waiting"}):
            found = {row.id: row.needs for row in rows if self._states[row.id] in wanted}
            if found and (wanted != {"waiting"} or len(found) < len(rows)):
                first = next(step for step, needs in found.items() if not found.keys() & needs)
                return first.partition(".")[2]
        return ""
