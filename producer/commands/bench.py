"""`bench`: a load through the model client, judged by targets; and the project's benchmarks."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.table import Table

import producer
from producer.commands.options import AsJson
from producer.console import DONE, WITH_FAILURES, data_console, print_json, reporting, say
from producer.load_generator import LoadPlan
from producer.spark import spark
from producer.throughput import ThroughputReport
from tasks.errors import BadInputError
from tasks.observing.times import Times

SCRIPTS = Path(producer.__file__).resolve().parent.parent / "benchmarks"
PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}

bench = typer.Typer(
    help="Measure: a load through the model client, and the project's benchmarks.",
    no_args_is_help=True,
)


@bench.command("throughput")
@reporting
def throughput(
    rate: Annotated[
        float, typer.Option("--rate", min=0, help="Calls a second; 0 = as fast as they return.")
    ] = 120.0,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, max=3600, help="How long.")] = 30,
    in_flight: Annotated[
        int, typer.Option("--in-flight", min=1, max=1000, help="Most calls at once.")
    ] = 300,
    latency: Annotated[
        float, typer.Option("--latency", min=0, help="Seconds that the simulated provider takes.")
    ] = 0.3,
    gate: Annotated[
        str, typer.Option("--gate", help="redis (a Valkey of its own) or memory.")
    ] = "redis",
    provider: Annotated[
        str, typer.Option("--provider", metavar="URL", help="Call this server instead.")
    ] = "",
    configured: Annotated[
        bool,
        typer.Option("--configured", help="Call the configured provider: this costs money."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", dir_okay=False, help="Also write the JSON here.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Load the model client and its gate; exit 1 unless document 002's five targets are met."""
    from producer.throughput_run import Against, GateKind, measure

    if gate not in ("redis", "memory"):
        raise BadInputError(f"--gate {gate!r} is unknown", hint="one of: redis, memory")
    if provider and configured:
        raise BadInputError("--provider and --configured exclude each other", hint="give one")
    plan = LoadPlan(rate=rate, seconds=seconds, in_flight=in_flight)
    against = Against(
        url=provider, configured=configured, latency_s=latency, gate=cast(GateKind, gate)
    )
    wanted = f"{rate:g} calls a second" if rate else "as many calls as return"
    say(f"{wanted} for {seconds:g} s, at most {in_flight} at once …")
    report = asyncio.run(measure(plan, against, told=tell))
    if out is not None:
        out.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    if as_json:
        print_json(report)
    else:
        show(report)
    raise typer.Exit(DONE if report.met else WITH_FAILURES)


def tell(ended: int, failed: int, mean_s: float) -> None:
    """Say how the last second went."""
    trouble = f", {failed:,} failed" if failed else ""
    say(f"{ended:>5,} calls ended, mean {mean_s:.3f} s{trouble}")


def show(report: ThroughputReport) -> None:
    """Draw a report for a person."""
    data_console.print(
        f"{report.requests:,} calls in {report.seconds:.1f} s to {report.provider} "
        f"(gate: {report.gate})",
        soft_wrap=True,
    )
    trouble = ", ".join(f"{name} {count:,}" for name, count in report.errors.items())
    data_console.print(f"failed: {report.failed:,}{f' ({trouble})' if trouble else ''}")
    data_console.print(f"times: {times_text(report.response)}")
    memory = report.client_memory_bytes / 1e6
    data_console.print(f"client: CPU {report.client_cpu_percent:.0f}% of a core, {memory:,.0f} MB")
    calls = [line.calls for line in report.trend]
    data_console.print(f"calls a second: {spark(calls)} up to {max(calls, default=0):,}", "")
    table = Table(box=None, pad_edge=False)
    for column in ("target", "wanted", "found", ""):
        table.add_column(column)
    for one in report.targets:
        mark = "[green]met[/green]" if one.met else "[red]not met[/red]"
        table.add_row(one.name, one.wanted, one.found, mark)
    data_console.print(table)


def times_text(times: Times) -> str:
    """Write times short."""
    return (
        f"mean {times.mean_s:.3f} s, p50 {times.p50_s:.3f} s, p95 {times.p95_s:.3f} s, "
        f"p99 {times.p99_s:.3f} s"
    )


def add_scripts(folder: Path) -> None:
    """Make a command of each benchmark that a checkout has; the image has none."""
    for script in sorted(folder.glob("*.py")):
        if '"__main__"' in (text := script.read_text(encoding="utf-8")):
            about = re.match(r'"""(.+)', text)
            add_script(script, about[1] if about else "")


def add_script(script: Path, about: str) -> None:
    """Make a command of one benchmark; it reads its own options, `--help` too."""

    @bench.command(script.stem, help=about, context_settings=PASSED_ON, add_help_option=False)
    def run(context: typer.Context) -> None:
        raise typer.Exit(subprocess.call([sys.executable, str(script), *context.args]))


add_scripts(SCRIPTS)
