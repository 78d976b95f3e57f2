"""Writes runs into the ledger so that a submitter may die at any moment.

What a run can be planned from comes first, in one piece; then its rows; `accept` opens it. Until
then it is `submitting`, its submitter holds a lease, and whoever comes after the lease may begin
again. It leaves planning to `producer.plan` and messages to `tasks.dispatch`.
"""

from collections.abc import Iterator, Sequence

from tasks.errors import BadInputError
from tasks.routing import rank_of
from tasks.schemas.ledger import StoredDocument
from tasks.schemas.plan import RunPlan, StepRow
from tasks.store import keys
from tasks.store.rows import dependents, held_back, initial, open_needs
from tasks.store.scripts import Scripts

ROWS_A_SCRIPT = 500
LEASE_MS = 10_000
IN_ITS_ROWS = "0 0 0"  # of a written run its own hash says what is left


class Submissions:
    """The submissions of one process, which signs them with its `owner`."""

    def __init__(self, scripts: Scripts, *, owner: str, grace_ms: int) -> None:
        self._scripts = scripts
        self._owner = owner
        self._grace_ms = grace_ms

    async def begin(self, plan: RunPlan, *, window: int = 0, gone: str = "") -> None:
        """Write a run's request and given documents, or take over where a submitter died.

        At most `window` characters (0 = all) are made at a time: the others are held and released
        one by one as characters are assembled. `gone` is a submitter that is known to be dead,
        whose lease need not be waited for. Raises BadInputError when the run is under way, or when
        somebody alive is submitting it.
        """
        request = plan.request
        fields: dict[str, str | int] = {
            "kind": request.kind,
            "owner": request.owner,
            "request": request.model_dump_json(),
            "open": sum(1 for row in plan.steps if row.id not in plan.documents),
            "steps": len(plan.steps),
            "rank": rank_of(request.priority),
            "calls_left": plan.calls,
        }
        documents = {
            step: StoredDocument(made_from="given", document=document).to_text()
            for step, document in plan.documents.items()
        }
        lists: tuple[Sequence[str | int], ...] = (
            [part for pair in fields.items() for part in pair],
            held_back(plan.steps, window),
            [part for pair in documents.items() for part in pair],
        )
        verdict, holder = await self._scripts.call(
            "begin",
            plan.run_id,
            [self._owner, LEASE_MS, gone, *(a for part in lists for a in (len(part), *part))],
            extra_keys=[keys.RUNS],
        )
        if verdict == "busy":
            raise being_submitted(plan.run_id, holder)
        if verdict != "yours":
            raise BadInputError(
                f"{plan.run_id} is submitted already", hint=f"castline watch {plan.run_id}"
            )

    async def write_rows(self, plan: RunPlan) -> None:
        """Write the rows of a run that was begun. Raises BadInputError when it was taken over."""
        arguments = list(rows_of(plan))
        for start in range(0, len(arguments), ROWS_A_SCRIPT):
            await self._put(plan.run_id, arguments[start : start + ROWS_A_SCRIPT])

    async def renew(self, run_id: str) -> None:
        """Say that this submitter is alive. Raises BadInputError when it was taken over."""
        await self._put(run_id, [])

    async def accept(self, run_id: str) -> list[str]:
        """Open a written run for work; returns the steps that are due at once.

        Their messages are the caller's to send; upkeep sends those that it does not. Raises
        BadInputError when the submission was taken over.
        """
        accepted, ready = await self._scripts.call(
            "accept", run_id, [self._owner, self._grace_ms, IN_ITS_ROWS], extra_keys=[keys.LOAD]
        )
        if not accepted:
            raise taken_over(run_id)
        return list(ready)

    async def let_wait(self, run_id: str) -> None:
        """Leave a written run to whoever opens it later. Raises BadInputError when taken over."""
        if not await self._scripts.call("let_wait", run_id, [self._owner]):
            raise taken_over(run_id)

    async def open_waiting(self, run_id: str) -> list[str]:
        """Open a run that waits; returns the steps that are due at once, none if it does not."""
        _, ready = await self._scripts.call(
            "accept", run_id, ["", self._grace_ms, IN_ITS_ROWS], extra_keys=[keys.LOAD]
        )
        return list(ready)

    async def discard(self, run_id: str) -> int | None:
        """Remove a run that was never wholly submitted; returns its rows, None for others."""
        rows = await self._scripts.call("discard", run_id, [], extra_keys=[keys.RUNS, keys.LOAD])
        return None if rows < 0 else int(rows)

    async def _put(self, run_id: str, rows: Sequence[tuple[str | int, ...]]) -> None:
        flat = [part for row in rows for part in row]
        if not await self._scripts.call("put_rows", run_id, [self._owner, LEASE_MS, *flat]):
            raise taken_over(run_id)


def rows_of(plan: RunPlan) -> Iterator[tuple[str | int, ...]]:
    """Yield step, row, state, open needs and dependents of every row of a plan."""
    after = dependents(plan.steps)
    for row in plan.steps:
        yield row_of(row, plan, after.get(row.id, ""))


def row_of(row: StepRow, plan: RunPlan, after: str) -> tuple[str | int, ...]:
    """Write one row as the script takes it."""
    return row.id, row.model_dump_json(), initial(row, plan), open_needs(row, plan), after


def being_submitted(run_id: str, holder: str) -> BadInputError:
    """Build the error for a submission that somebody alive is at."""
    return BadInputError(
        f"{run_id} is being submitted just now, by {holder}",
        hint=f"wait for it; if it was killed, try again in {LEASE_MS // 1000} s",
    )


def taken_over(run_id: str) -> BadInputError:
    """Build the error for a submission that is not this process's any more."""
    return BadInputError(
        f"{run_id} was cancelled, or taken over by a retry, while it was being submitted",
        hint="`castline runs` says how it stands",
    )
