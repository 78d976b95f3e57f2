"""`retry`: makes due again what ended without success, and on request what has changed since."""

from typing import Annotated, Any

import typer

from producer import session
from producer.commands.follow import RunId
from producer.commands.options import AsJson
from producer.console import print_json, reporting, say
from producer.following import follow
from producer.incomplete import resubmit, standing_now
from producer.redo import Redo, carry_out, due_text, look
from producer.request import folder_of
from producer.standing import standing
from tasks.deps import Deps
from tasks.schemas.ledger import RunSnapshot


@reporting
def retry(
    run: RunId,
    changed: Annotated[
        bool,
        typer.Option(
            "--changed",
            help="Also redo what a changed prompt or model would make otherwise now.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done again.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait/--detach", help="Wait for the end.")] = True,
    as_json: AsJson = False,
) -> None:
    """Make a run's failed, quarantined and cancelled steps due again; done work is kept.

    A run whose submission was cut short is submitted to its end.
    """

    async def again(deps: Deps) -> int:
        snapshot = await deps.reader.snapshot(run)
        if snapshot.state == "submitting":
            return await finish_submitting(deps, snapshot, dry_run, wait, as_json)
        redo = await look(deps, run)
        tell(redo, changed=changed)
        todo = bool(redo.steps(changed=changed))
        if todo and not dry_run:
            while not await carry_out(deps, redo, changed=changed):
                redo = await look(deps, run)
                tell(redo, changed=changed)
        told = {"due_again": redo.told(changed=changed).model_dump(), "dry_run": dry_run}
        if todo and not dry_run and wait:
            out = folder_of(run, redo.snapshot.request)
            return await follow(deps, run, out=out, as_json=as_json, told=told)
        if as_json:
            print_json(await status_with(deps, run, told))
        return 0

    raise typer.Exit(session.run(again))


async def finish_submitting(
    deps: Deps, snapshot: RunSnapshot, dry_run: bool, wait: bool, as_json: bool
) -> int:
    """Submit an incomplete run to its end and follow it."""
    run = snapshot.run_id
    if not dry_run:
        await resubmit(deps, snapshot)
        say(f"{run} was incomplete; it is wholly submitted now.")
        if wait:
            return await follow(deps, run, out=folder_of(run, snapshot.request), as_json=as_json)
    else:
        say(f"{run} is incomplete: a retry submits it to its end.")
    if as_json:
        print_json(standing_now(deps, await deps.reader.snapshot(run)))
    return 0


async def status_with(deps: Deps, run: str, told: dict[str, Any]) -> dict[str, Any]:
    """Build the JSON of a run's standing and of what was told about it."""
    return {**standing(await deps.reader.snapshot(run)).model_dump(mode="json"), **told}


def tell(redo: Redo, *, changed: bool) -> None:
    """Say what is made due again, before it is, and what is not."""
    due = redo.told(changed=changed)
    say(due_text(due))
    if redo.snapshot.state != "finished" and changed:
        say("The run goes on: what has changed can be redone when it has ended.")
    if due.not_asked:
        say(
            f"{due.not_asked:,} done steps would come out otherwise now (prompt or model changed): "
            f"castline retry {redo.snapshot.run_id} --changed"
        )
