"""`runs`, `status`, `watch`, `results`, `cancel`: following a run, and stopping it."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from producer import session
from producer.analysis_file import check_file, write_file
from producer.analysis_results import read_round, report
from producer.commands.options import AsJson
from producer.console import data_console, print_json, reporting, say
from producer.following import follow, write_folder
from producer.incomplete import check_submitted, lines_as_they_stand, remove, standing_now
from producer.out_folder import check_out_folder
from producer.overview import overview
from producer.request import folder_of
from producer.summary import final_summary
from tasks.deps import Deps
from tasks.errors import BadInputError
from tasks.schemas.ledger import RunLine, RunSnapshot
from tasks.schemas.status import RunStatus

RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, from `castline runs`.")]


@reporting
def runs(
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the runs, newest first."""

    async def show(deps: Deps) -> int:
        lines = await lines_as_they_stand(deps, await deps.reader.runs(limit))
        if as_json:
            print_json({"runs": [shown(line) for line in lines]})
            return 0
        table = Table(box=None, pad_edge=False)
        for column in ("run", "kind", "state", "steps done", "begun"):
            table.add_column(column, justify="right" if column == "steps done" else "left")
        for line in lines:
            begun = datetime.fromtimestamp(line.created_ms / 1000).astimezone()
            done = f"{line.steps - line.open_steps}/{line.steps}"
            table.add_row(line.run_id, line.kind, line.state, done, f"{begun:%Y-%m-%d %H:%M}")
        data_console.print(table)
        if left := [line.run_id for line in lines if line.state == "incomplete"]:
            say(f"Incomplete: the submission was cut short. Finish it: castline retry {left[0]}")
        return 0

    raise typer.Exit(session.run(show))


@reporting
def status(
    run: Annotated[str, typer.Argument(metavar="[RUN]", help="A run; none = the services.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show how a run stands; without a run, services, queues and limits."""

    async def show(deps: Deps) -> int:
        if not run:
            return await overview(deps, as_json=as_json)
        stands = standing_now(deps, await deps.reader.snapshot(run))
        if as_json:
            print_json(stands)
        else:
            final_summary(stands, data_console)
        return 0

    raise typer.Exit(session.run(show))


@reporting
def watch(run: RunId, as_json: AsJson = False) -> None:
    """Show a run's progress until it ends, and write its folder."""

    async def show(deps: Deps) -> int:
        snapshot = await deps.reader.snapshot(run)
        check_submitted(deps, snapshot)
        check_folder_kind(snapshot)
        out = folder_of(run, snapshot.request)
        if out is not None:
            check_out_folder(out, run)
        return await follow(deps, run, out=out, as_json=as_json)

    raise typer.Exit(session.run(show))


@reporting
def results(
    run: RunId,
    out: Annotated[Path, typer.Option("--out", help="Folder to write; a file for an analysis.")],
    as_json: AsJson = False,
) -> None:
    """Write what a run has made so far into a folder."""

    async def write(deps: Deps) -> int:
        folder = out.absolute()
        snapshot = await deps.reader.snapshot(run)
        check_folder_kind(snapshot)
        if snapshot.request.analysis is not None:
            return await write_analysis(deps, run, folder, as_json=as_json)
        check_out_folder(folder, run)
        written = await write_folder(deps, snapshot, folder)
        show_status(written, as_json=as_json)
        return 0

    raise typer.Exit(session.run(write))


def check_folder_kind(snapshot: RunSnapshot) -> None:
    """Check that a run ends in a folder. Raises BadInputError for a discussion."""
    if snapshot.request.discussion is not None:
        raise BadInputError(
            f"{snapshot.run_id} is a discussion: it has no folder",
            hint=f"castline discuss show {snapshot.run_id} --follow",
        )


async def write_analysis(deps: Deps, run: str, path: Path, *, as_json: bool) -> int:
    """Write what a round of topics has made so far as document 000's JSON."""
    check_file(path)
    one = await read_round(deps, run)
    told = report([one], config={"iterations": 1}, seconds=one.seconds)
    await asyncio.to_thread(write_file, path, told)
    if as_json:
        print_json(told)
    else:
        say(f"{one.done} topics analysed, {one.failed} failed: written to {path}")
    return 0


@reporting
def cancel(run: RunId, as_json: AsJson = False) -> None:
    """Cancel a run: what has not begun is dropped, what runs may finish.

    A run whose submission was cut short is removed.
    """

    async def stop(deps: Deps) -> int:
        if await remove(deps, run):
            if as_json:
                print_json({"run_id": run, "cancelled_steps": 0, "removed": True})
            else:
                say(f"{run} was never wholly submitted; it is removed.")
            return 0
        count = await deps.ledger.cancel(run)
        if as_json:
            print_json({"run_id": run, "cancelled_steps": count})
        else:
            say(f"{count} steps of {run} are cancelled; what is running may finish.")
        return 0

    raise typer.Exit(session.run(stop))


def shown(line: RunLine) -> dict[str, object]:
    """Write a line of the list for a program."""
    return {name: value for name, value in vars(line).items() if name != "submitter"}


def show_status(stands: RunStatus, *, as_json: bool) -> None:
    """Print a run's standing for a program or for a person."""
    if as_json:
        print_json(stands)
    else:
        final_summary(stands, data_console)
