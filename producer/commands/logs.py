"""`logs`: what the services of all machines have logged, by run or session, and as it comes."""

import json
import sys
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from producer import session
from producer.commands.options import AsJson
from producer.console import DONE, data_console, print_json, reporting, say
from producer.following import interruptible
from producer.logs import Wanted, following, newest, run_logs, since_ms
from producer.printable import one_line
from tasks.deps import Deps
from tasks.errors import BadInputError
from tasks.schemas.telemetry import LogLine

STYLES = {"warning": "yellow", "error": "red", "critical": "red", "debug": "dim"}
SHOWN_FIRST = ("timestamp", "level", "service", "event")
NEVER_SHOWN = frozenset({*SHOWN_FIRST, "logger", "task_id", "session"})  # a session is a run
OF_ONE_RUN = frozenset({"run"})
IDS = ("run", "step", "agent")


@reporting
def logs(
    run: Annotated[str, typer.Option("--run", help="Only this run's lines.")] = "",
    session_id: Annotated[
        str, typer.Option("--session", help="Only this discussion's lines.")
    ] = "",
    service: Annotated[str, typer.Option("--service", help="Only services named like this.")] = "",
    grep: Annotated[str, typer.Option("--grep", help="Only lines with this pattern.")] = "",
    level: Annotated[str, typer.Option("--level", help="From this level up.")] = "debug",
    since: Annotated[str, typer.Option("--since", help="Not older than 90s, 10m, 2h, 1d.")] = "",
    count: Annotated[int, typer.Option("-n", "--lines", min=1, help="So many at most.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="Which runs have a log.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what the services of all machines have logged lately.

    With --json one object; with --json -f an object on each line, as they come.
    """
    if run and session_id:
        raise BadInputError("--run and --session together", hint="a session is a run: name one")

    async def show(deps: Deps) -> int:
        if listed:
            return await show_list(deps, as_json=as_json)
        now_ms = await deps.ledger.now_ms()
        wanted = Wanted(
            run=run or session_id,
            level=level,
            pattern=grep,
            service=service,
            since_ms=since_ms(since, now_ms=now_ms),
        )
        if wanted.run:
            await exists(deps, wanted.run, session_id=session_id)
        lines = await newest(deps, wanted, count=count)
        if as_json and not follow:
            print_json({"lines": [line.entry for line in lines]})
            return DONE
        for line in lines:
            write(line, wanted, as_json=as_json)
        if follow:
            after = lines[-1].id if lines else str(now_ms)
            return await go_on(deps, wanted, after=after, as_json=as_json)
        if not lines:
            say("No such lines.")
        return DONE

    raise typer.Exit(session.run(show))


async def exists(deps: Deps, run_id: str, *, session_id: str) -> None:
    """Tell an unknown run, or a run that is no session, as such. Raises BadInputError."""
    request = await deps.reader.request(run_id)
    if session_id and request.discussion is None:
        raise BadInputError(
            f"run {run_id!r} is no discussion", hint=f"castline logs --run {run_id}"
        )


async def go_on(deps: Deps, wanted: Wanted, *, after: str, as_json: bool) -> int:
    """Write lines as they come, until somebody interrupts."""
    with interruptible() as interruption:
        async for line in following(deps, wanted, after=after):
            if line is not None:
                write(line, wanted, as_json=as_json)
            if interruption.stop.is_set():
                break
    return interruption.code


async def show_list(deps: Deps, *, as_json: bool) -> int:
    """Show which runs have a log."""
    found = await run_logs(deps)
    if as_json:
        print_json({"logs": [one.model_dump(mode="json") for one in found]})
        return DONE
    table = Table(box=None, pad_edge=False)
    for column in ("run", "kind", "lines", "last line"):
        table.add_column(column, justify="right" if column == "lines" else "left")
    for one in found:
        last = datetime.fromtimestamp(one.last_ms / 1000).astimezone()
        table.add_row(one.run, one.kind, f"{one.lines:,}", f"{last:%Y-%m-%d %H:%M:%S}")
    data_console.print(table)
    return DONE


def write(line: LogLine, wanted: Wanted, *, as_json: bool) -> None:
    """Write one line."""
    if as_json:
        sys.stdout.write(json.dumps(line.entry, ensure_ascii=False) + "\n")
        sys.stdout.flush()
    else:
        data_console.print(shown(line, of_one_run=bool(wanted.run)), soft_wrap=True)


def shown(line: LogLine, *, of_one_run: bool) -> Text:
    """Draw one line for a person: time, level, service, what, then the ids and what is not 0."""
    entry = line.entry
    at = datetime.fromtimestamp(line.at_ms / 1000).astimezone()
    level = str(entry.get("level", "info"))
    hidden = NEVER_SHOWN | (OF_ONE_RUN if of_one_run else set())
    told = sorted((k for k in entry if k not in hidden and entry[k]), key=place)
    rest = " ".join(f"{k}={text_of(entry[k])}" for k in told)
    return Text.assemble(
        (f"{at:%H:%M:%S} ", "dim"),
        (f"{level:<7} ", STYLES.get(level, "")),
        (f"{entry.get('service', '')}  ", "cyan"),
        one_line(str(entry.get("event", ""))),
        (f"  {one_line(rest)}" if rest else "", "dim"),
    )


def place(key: str) -> int:
    """Order what a line tells: its ids first, the rest as it was logged."""
    return IDS.index(key) if key in IDS else len(IDS)


def text_of(value: Any) -> str:
    """Write a value short: a list with commas, of a traceback the last line."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    return (str(value).strip().splitlines() or [""])[-1]
