"""`quarantine list|show|retry|drop`: bad messages, and steps that nobody could end."""

import base64
import sys
from datetime import datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from producer import session
from producer.commands.options import AsJson
from producer.console import data_console, print_json, reporting, say
from producer.quarantine import contents, find, listed, step_of
from producer.redo import send_again
from tasks.deps import Deps
from tasks.errors import BadInputError
from tasks.observing.quarantine import counted
from tasks.schemas.quarantine import BadMessage, QuarantineLine
from tasks.store import bad_messages

quarantine = typer.Typer(
    help="Look at bad messages and at steps that nobody could end; send them again or drop them.",
    no_args_is_help=True,
)

Ids = Annotated[list[str] | None, typer.Argument(help="Ids of `castline quarantine list`.")]
Every = Annotated[bool, typer.Option("--all", help="Everything in quarantine.")]
SHOWN_CHARACTERS = 2000


@quarantine.command("list")
@reporting
def list_all(as_json: AsJson = False) -> None:
    """List what is in quarantine, newest first."""

    async def show(deps: Deps) -> int:
        lines, counts = await listed(deps), await counted(deps)
        if as_json:
            entries = [line.model_dump(mode="json") for line in lines]
            print_json({"entries": entries, "counts": counts.model_dump(mode="json")})
        elif lines:
            data_console.print(table_of(lines))
        else:
            say("Nothing is in quarantine.")
        if counts.dropped_messages and not as_json:
            say(f"{counts.dropped_messages} older messages were dropped: there were too many.")
        return 0

    raise typer.Exit(session.run(show))


@quarantine.command("show")
@reporting
def show_one(
    entry: Annotated[str, typer.Argument(help="An id of `castline quarantine list`.")],
    as_json: AsJson = False,
) -> None:
    """Show one entry whole: a message's bytes, or a step's last error."""

    async def show(deps: Deps) -> int:
        [found] = await find(deps, [entry])
        if as_json:
            print_json(found)
        elif isinstance(found, BadMessage):
            text = base64.b64decode(found.raw)[:SHOWN_CHARACTERS].decode(errors="backslashreplace")
            cut = ", cut" if found.cut else ""
            say(f"{found.id} of {found.queue}: {found.reason} ({found.size_bytes} bytes{cut})")
            sys.stdout.write(printable(text) + "\n")
        else:
            say(f"{found.place} is in quarantine: {found.reason}")
        return 0

    raise typer.Exit(session.run(show))


@quarantine.command("retry")
@reporting
def retry(ids: Ids = None, every: Every = False, as_json: AsJson = False) -> None:
    """Send messages again as they were, and make steps due again with what needs them."""

    async def again(deps: Deps) -> int:
        chosen = await selected(deps, ids, every=every)
        runs: dict[str, list[str]] = {}
        for found in chosen:
            if isinstance(found, BadMessage):
                await bad_messages.take(deps.redis, found, send=True)
            else:
                run_id, step = step_of(found)
                runs.setdefault(run_id, []).append(step)
        for run_id, steps in runs.items():
            await send_again(deps, run_id, only=steps)
        tell("sent again", chosen, as_json=as_json)
        return 0

    raise typer.Exit(session.run(again))


@quarantine.command("drop")
@reporting
def drop(
    ids: Ids = None,
    every: Every = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete messages, and leave steps failed for good."""

    async def away(deps: Deps) -> int:
        chosen = await selected(deps, ids, every=every, cut_too=True)
        if not yes and not confirmed(len(chosen)):
            raise BadInputError("nothing was dropped", hint="confirm it with --yes")
        for found in chosen:
            if isinstance(found, BadMessage):
                await bad_messages.take(deps.redis, found, send=False)
            else:
                await deps.ledger.drop(*step_of(found))
        tell("dropped", chosen, as_json=as_json)
        return 0

    raise typer.Exit(session.run(away))


async def selected(
    deps: Deps, ids: list[str] | None, *, every: bool, cut_too: bool = False
) -> list[BadMessage | QuarantineLine]:
    """Find what was asked for, all of it before anything is done. Raises BadInputError."""
    if bool(ids) == every:
        raise BadInputError(
            "which entries?", hint="give ids of `castline quarantine list`, or --all"
        )
    chosen = await contents(deps) if every else await find(deps, ids or [])
    cut = [found.id for found in chosen if isinstance(found, BadMessage) and found.cut]
    if cut and not cut_too:
        raise BadInputError(
            f"message {cut[0]} was too large to be kept whole and cannot be sent again",
            hint="drop it, or name the other entries",
        )
    return chosen


def confirmed(count: int) -> bool:
    """Ask the person in front; nobody in front is a no."""
    return sys.stdin.isatty() and typer.confirm(f"Drop {count} entries for good?", err=True)


def tell(what: str, chosen: list[BadMessage | QuarantineLine], *, as_json: bool) -> None:
    """Say what was done."""
    messages = [found.id for found in chosen if isinstance(found, BadMessage)]
    steps = [found.id for found in chosen if isinstance(found, QuarantineLine)]
    if as_json:
        print_json({"messages": messages, "steps": steps})
    else:
        say(f"{len(messages)} messages and {len(steps)} steps are {what}.")


def table_of(lines: list[QuarantineLine]) -> Table:
    """Build the list for a person."""
    table = Table(box=None, pad_edge=False)
    for column in ("id", "since", "where", "reason"):
        table.add_column(column, overflow="fold")
    for line in lines:
        since = datetime.fromtimestamp(line.at_ms / 1000).strftime("%m-%d %H:%M")
        table.add_row(escape(line.id), since, escape(line.place), escape(line.reason))
    return table


def printable(text: str) -> str:
    """Escape what would steer a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)
