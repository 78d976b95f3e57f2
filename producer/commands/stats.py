"""`stats`: response times, errors, throughput, sessions, and what each service uses."""

import time
from typing import Annotated

import typer
from rich.table import Table

from producer import session
from producer.commands.options import AsJson
from producer.console import DONE, data_console, print_json, reporting
from tasks.deps import Deps
from tasks.observing.stats import Stats, read_stats

BARS = "▁▂▃▄▅▆▇█"


@reporting
def stats(
    window: Annotated[int, typer.Option("--window", min=1, max=1440, help="Minutes back.")] = 15,
    trend: Annotated[bool, typer.Option("--trend", help="Also minute by minute.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show how the whole system has done lately."""

    async def show(deps: Deps) -> int:
        found = await read_stats(deps, minutes=window)
        if as_json:
            print_json(found)
        else:
            show_stats(found, trend=trend)
        return DONE

    raise typer.Exit(session.run(show))


def show_stats(found: Stats, *, trend: bool) -> None:
    """Draw everything for a person."""
    times = found.response
    data_console.print(f"the last {found.window_s / 60:.0f} minutes")
    table = Table.grid(padding=(0, 2, 0, 2))
    table.add_row(
        "model calls", f"{found.calls:,} answered", f"{found.calls_per_s:.2f}/s",
        f"{found.error_rate:.1%} of the attempts failed",
    )  # fmt: skip
    table.add_row(
        "response", f"mean {times.mean_s:.2f} s", f"p50 {times.p50_s:.2f} s",
        f"p95 {times.p95_s:.2f} s, p99 {times.p99_s:.2f} s",
    )  # fmt: skip
    table.add_row("steps", f"{found.steps_per_s:.2f}/s", f"{found.steps_failed:,} failed")
    if found.errors:
        told = ", ".join(f"{name} {count:,}" for name, count in found.errors.items())
        table.add_row("errors", told)
    sessions = found.sessions
    table.add_row(
        "discussions", f"{sessions.active} active", f"{sessions.waiting} waiting",
        f"{sessions.expired} expired",
    )  # fmt: skip
    data_console.print(table)
    services = Table(box=None, pad_edge=False)
    for column in ("service", "memory", "CPU"):
        services.add_column(column, justify="left" if column == "service" else "right")
    for one in found.services:
        services.add_row(one.name, f"{one.memory_bytes / 1e6:,.0f} MB", f"{one.cpu_percent:.0f} %")
    data_console.print()
    data_console.print(services)
    if trend:
        show_trend(found)


def show_trend(found: Stats) -> None:
    """Draw a line of bars, and the minutes."""
    data_console.print()
    data_console.print(f"calls a minute  {spark([line.calls for line in found.trend])}")
    table = Table(box=None, pad_edge=False)
    for column in ("minute", "calls", "failed", "p95 s"):
        table.add_column(column, justify="left" if column == "minute" else "right")
    for line in found.trend:
        if line.calls or line.failed:
            at = time.strftime("%H:%M", time.localtime(line.at))
            table.add_row(at, f"{line.calls:,}", f"{line.failed:,}", f"{line.p95_s:.2f}")
    data_console.print(table)


def spark(values: list[int]) -> str:
    """Draw numbers as a line of bars."""
    most = max(values, default=0)
    if not most:
        return BARS[0] * len(values)
    return "".join(BARS[round(value / most * (len(BARS) - 1))] for value in values)
