"""Decides what a retry makes due again, makes it due, and sends it.

What has changed is `producer.changes`'s to find, every state change the ledger's; the command that
asks for it prints.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from producer.changes import Makers, changed_steps, followers
from producer.standing import stage_label
from producer.submit import check_served, send_ready
from tasks.deps import Deps
from tasks.observing.services import live_services
from tasks.origins import Models
from tasks.schemas.ledger import RunSnapshot
from tasks.schemas.redo import DueAgain
from tasks.schemas.steps import StepName
from tasks.store.rows import unsuccessful
from tasks.traces import open_trace

PLURAL = {"tweet": "tweets", "picture": "pictures", "portrait": "portraits"}


@dataclass(frozen=True, kw_only=True)
class Redo:
    """What a retry of a run would do.

    `again` is what ended without success, `changed` are done steps that would come out otherwise
    now, `after` is what is made from those.
    """

    snapshot: RunSnapshot
    again: frozenset[str]
    changed: frozenset[str]
    after: frozenset[str]

    def steps(self, *, changed: bool) -> set[str]:
        """List the steps that a retry makes due again, with or without what has changed."""
        return set(self.again | self.changed | self.after if changed else self.again)

    def told(self, *, changed: bool) -> DueAgain:
        """Count what a retry makes due again, as the user reads it."""
        steps = self.steps(changed=changed)
        rows = [self.snapshot.rows[step] for step in self.snapshot.rows if step in steps]
        return DueAgain(
            steps=len(rows),
            by_part=dict(Counter(stage_label(row.id) for row in rows)),
            calls=sum(row.calls for row in rows),
            failed=len(self.again),
            changed=len(self.changed) if changed else 0,
            not_asked=0 if changed else len((self.changed | self.after) - self.again),
        )


async def look(deps: Deps, run_id: str) -> Redo:
    """Find what a retry of this run would do. Raises BadInputError for an unknown run.

    Changes are looked for in a run that has ended, and where somebody is alive who would write.
    """
    snapshot = await deps.reader.snapshot(run_id)
    again = frozenset(unsuccessful(snapshot))
    changed: set[str] = set()
    if snapshot.state == "finished":
        documents = await deps.reader.all_documents(run_id)
        changed = changed_steps(snapshot, documents, await makers(deps))
    after = followers(snapshot, changed) if changed else set()
    return Redo(snapshot=snapshot, again=again, changed=frozenset(changed), after=frozenset(after))


async def makers(deps: Deps) -> Makers:
    """Ask the heartbeats which models and renderers are at work."""
    live = [service for service in await live_services(deps) if service.state == "running"]
    return Makers(
        models=frozenset(
            Models(chat=service.model, vision=service.vision_model)
            for service in live
            if service.model
        ),
        renderers=frozenset(service.renderer for service in live if service.renderer),
    )


async def check_somebody_works(deps: Deps, steps: Collection[str]) -> None:
    """Check that somebody would do these steps. Raises NoWorkerError."""
    pictures = [step for step in steps if StepName.parse(step).is_picture]
    await check_served(deps, texts=len(pictures) < len(steps), pictures=bool(pictures))


async def carry_out(deps: Deps, redo: Redo, *, changed: bool) -> bool:
    """Make the steps due again and send those that are due at once; upkeep sends the others.

    False, and nothing happens, when the run has ended or was retried since it was looked at. Raises
    NoWorkerError when nobody would do the work, ServiceAwayError when Redis is away.
    """
    snapshot, steps = redo.snapshot, redo.steps(changed=changed)
    await check_somebody_works(deps, steps)
    await open_trace(deps, snapshot.run_id, snapshot.request, steps=len(snapshot.rows))
    reopened = await deps.ledger.reopen(snapshot, steps)
    if reopened is None:
        return False
    await send_ready(deps, snapshot.run_id, reopened.due, snapshot.request)
    return True


async def send_again(deps: Deps, run_id: str, *, only: Collection[str]) -> int:
    """Make these unsuccessful steps due again with what could not happen without them; send them.

    Returns how many are due again; what needs others follows by itself. Raises BadInputError for an
    unknown run.
    """
    while True:
        snapshot = await deps.reader.snapshot(run_id)
        await open_trace(deps, run_id, snapshot.request, steps=len(snapshot.rows))
        reopened = await deps.ledger.reopen(snapshot, unsuccessful(snapshot, only))
        if reopened is not None:
            await send_ready(deps, run_id, reopened.due, snapshot.request)
            return reopened.steps


def due_text(due: DueAgain) -> str:
    """Write what is due again: `12 steps are due again: 3 strategy, 9 tweets; about 12 calls`."""
    if not due.steps:
        return "Nothing to do: no step failed or was cancelled."
    parts = ", ".join(
        f"{count:,} {PLURAL.get(part, part) if count > 1 else part}"
        for part, count in due.by_part.items()
    )
    noun = "step is" if due.steps == 1 else "steps are"
    calls = f"; about {due.calls:,} model calls" if due.calls else ""
    return f"{due.steps:,} {noun} due again: {parts}{calls}."
