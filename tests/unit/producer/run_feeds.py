"""Plans and events of made-up runs, as the ledger would tell them."""

from collections.abc import Iterator

from tasks.schemas.plan import STAGES, StepKind, StepRow, StepState
from tasks.schemas.status import StepEvent


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def plan(personas: int = 1, tweets: int = 2, *, images: bool = True) -> tuple[StepRow, ...]:
    return tuple(row for index in range(1, personas + 1) for row in _rows(index, tweets, images))


def _rows(index: int, tweets: int, images: bool) -> Iterator[StepRow]:
    before: tuple[str, ...] = ()
    for name in (*STAGES, "assemble"):
        yield row(f"p{index}.{name}", "stage", needs=before)
        before = (f"p{index}.{name}",)
    if tweets:
        yield row(f"p{index}.calendar", "calendar", needs=before)
    for slot in range(1, tweets + 1):
        yield row(f"p{index}.t{slot:02d}", "tweet")
    for slot in range(1, tweets + 1) if images else ():
        yield row(f"p{index}.i{slot:02d}", "picture")
    if tweets:
        yield row(f"p{index}.collect", "collect")


def row(step: str, kind: StepKind, *, needs: tuple[str, ...] = ()) -> StepRow:
    item = step.partition(".")[0]
    return StepRow(
        id=step,
        kind=kind,
        item=step if kind in {"tweet", "picture"} else item,
        persona=int(item[1:]),
        needs=needs,
    )


def event(row: StepRow, state: StepState, *, at_s: float = 0.0, note: str = "") -> StepEvent:
    return StepEvent(
        id=f"{int(at_s * 1000)}-0",
        step=row.id,
        state=state,
        at_ms=1_790_000_000_000 + int(at_s * 1000),
        persona=row.persona,
        note=note,
    )
