"""`stats`: response times, errors, throughput, queues, discussions, what each service uses."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from producer import session
from producer.commands.options import AsJson
from producer.console import DONE, data_console, print_json, reporting
from producer.following import interruptible
from producer.spark import spark
from tasks.deps import Deps
from tasks.observing.stats import MinuteLine, Stats, read_stats
from tasks.observing.times import Times
from tasks.schemas.alerts import Alert
from tasks.store.room import Room

NONE = "-"
EVERY_S = 2.0
COLUMNS = ("minute", "calls", "failed", "p95", "steps", "waiting", "running", "CPU", "memory")


@reporting
def stats(
    window: Annotated[int, typer.Option("--window", min=1, max=1440, help="Minutes back.")] = 15,
    trend: Annotated[bool, typer.Option("--trend", help="Also minute by minute.")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Again every 2 s, until Ctrl-C.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show how the whole system has done lately, how it stands, and what is wrong.

    With --json one object; with --json -f an object on each line.
    """

    def draw(found: Stats) -> None:
        if as_json and follow:
            data_console.file.write(found.model_dump_json() + "\n")
            data_console.file.flush()
        elif as_json:
            print_json(found)
        else:
            show_stats(found, minutes=window, trend=trend)

    async def show(deps: Deps) -> int:
        with interruptible() as interruption:
            while not interruption.stop.is_set():
                found = await read_stats(deps, minutes=window)
                if follow and not as_json:
                    data_console.clear()
                draw(found)
                if not follow:
                    return DONE
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(interruption.stop.wait(), EVERY_S)
        return interruption.code

    raise typer.Exit(session.run(show))


def show_stats(found: Stats, *, minutes: int, trend: bool) -> None:
    """Draw everything for a person."""
    unit = "minute" if minutes == 1 else f"{minutes} minutes"
    data_console.print(f"In the last {unit}:")
    data_console.print(table_of(counted(found)), "")
    data_console.print("Now:")
    data_console.print(table_of(standing(found)), "")
    show_services(found)
    show_alerts(found.alerts)
    if trend:
        show_trend(found.trend)


def counted(found: Stats) -> list[tuple[str, str]]:
    """What was counted, by name."""
    rows = [
        ("model calls", f"{found.calls:,} answered, {found.calls_per_s:.2f}/s; "
                        f"{found.error_rate:.1%} of the attempts failed"),
        ("a call took", times_text(found.response)),
        ("steps", f"{found.steps:,} done, {found.steps_per_s:.2f}/s; "
                  f"{found.steps_failed:,} failed"),
        ("a step took", times_text(found.step_time)),
    ]  # fmt: skip
    if found.errors:
        told = ", ".join(f"{name} {count:,}" for name, count in found.errors.items())
        rows.append(("failed attempts", told))
    if found.http.count:
        rows.append(("HTTP answers", f"{found.http.count:,}, {found.http_errors:,} of them 5xx"))
        rows.append(("an answer took", times_text(found.http)))
    if found.log_lines_dropped:
        rows.append(("log lines lost", f"{found.log_lines_dropped:,}"))
    return rows


def standing(found: Stats) -> list[tuple[str, str]]:
    """How things stand, by name."""
    waiting = sum(queue.waiting for queue in found.queues)
    running = sum(queue.running for queue in found.queues)
    sessions, held = found.sessions, found.quarantine
    return [
        ("queues", f"{waiting:,} waiting, {running:,} running"),
        ("discussions", f"{sessions.active:,} active, {sessions.waiting:,} waiting, "
                        f"{sessions.expired:,} expired so far"),
        ("quarantine", f"{held.messages:,} messages, {held.steps:,} steps"),
        ("redis", Room(used_bytes=found.redis.used_bytes, most_bytes=found.redis.most_bytes).said),
        *((f"machine {one.node}", f"CPU {one.cpu_percent:.0f}%, memory {one.memory_percent:.0f}%")
          for one in found.machines),
    ]  # fmt: skip


def times_text(times: Times) -> str:
    """Write response times short."""
    if not times.count:
        return NONE
    values = {"mean": times.mean_s, "p50": times.p50_s, "p95": times.p95_s, "p99": times.p99_s}
    return ", ".join(f"{name} {seconds_text(value)}" for name, value in values.items())


def seconds_text(seconds: float) -> str:
    """Write a time with two digits that say something."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def show_services(found: Stats) -> None:
    """Draw what each service uses."""
    table = Table(box=None, pad_edge=False)
    for column in ("service", "memory", "CPU (100% = one core)"):
        table.add_column(column, justify="left" if column == "service" else "right")
    for one in found.services:
        table.add_row(one.name, f"{one.memory_bytes / 1e6:,.0f} MB", f"{one.cpu_percent:.0f}%")
    data_console.print(table)


def show_alerts(alerts: Sequence[Alert]) -> None:
    """Draw what is wrong, or say that nothing is."""
    data_console.print()
    if not alerts:
        data_console.print("Alerts: none")
        return
    data_console.print("Alerts:")
    for alert in alerts:
        data_console.print(f"  {alert_text(alert)}", style="yellow", markup=False, soft_wrap=True)
        if alert.hint:
            data_console.print(f"    → {alert.hint}", markup=False, soft_wrap=True)


def alert_text(alert: Alert) -> str:
    """Write an alert, with since when it is known."""
    if not alert.since_ms:
        return alert.text
    at = datetime.fromtimestamp(alert.since_ms / 1000).astimezone()
    return f"{alert.text} (since {at:%m-%d %H:%M})"


def show_trend(trend: Sequence[MinuteLine]) -> None:
    """Draw calls and queue as lines of bars, and the minutes in which there was something."""
    data_console.print()
    calls = [line.calls for line in trend]
    data_console.print(table_of([
        ("calls a minute", f"{spark(calls)}  up to {max(calls):,}"),
        ("waiting", spark([line.waiting or 0 for line in trend])),
    ]), "")  # fmt: skip
    table = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "minute" else "right")
    for line in trend:
        if line.calls or line.failed or line.steps or line.waiting:
            table.add_row(*minute_cells(line))
    data_console.print(table)


def minute_cells(line: MinuteLine) -> list[str]:
    """Write one minute."""
    counts = (line.waiting, line.running)
    shares = (line.cpu_percent, line.memory_percent)
    return [
        time.strftime("%H:%M", time.localtime(line.at)),
        f"{line.calls:,}",
        f"{line.failed:,}",
        seconds_text(line.p95_s) if line.p95_s else NONE,
        f"{line.steps:,}",
        *(NONE if count is None else f"{count:,}" for count in counts),
        *(NONE if share is None else f"{share}%" for share in shares),
    ]


def table_of(rows: list[tuple[str, str]]) -> Table:
    """Put names and texts side by side."""
    table = Table.grid(padding=(0, 2))
    for name, text in rows:
        table.add_row(f"  {name}", text)
    return table
