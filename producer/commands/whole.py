"""The whole command line: which commands there are."""

from typing import Annotated

import typer

from producer.commands import create, follow, stack
from producer.commands.analyze import analyze
from producer.commands.api import api, api_key
from producer.commands.bench import bench
from producer.commands.discuss import discuss
from producer.commands.doctor import doctor
from producer.commands.limits import limits
from producer.commands.logs import logs
from producer.commands.quarantine import quarantine
from producer.commands.retry import retry
from producer.commands.stats import stats
from producer.commands.worker import flower, worker
from producer.console import set_debug
from producer.simulate import simulate

app = typer.Typer(
    name="castline",
    help="A distributed studio for fictional characters: characters, tweets and pictures, at scale."
    " Everything it writes is AI-generated and marked so; it never posts anything.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Take the options that go before the command."""
    set_debug(debug)


for command in (
    stack.demo,
    stack.up,
    stack.down,
    create.run,
    create.persona,
    create.tweets,
    create.images,
    analyze,
    follow.runs,
    follow.status,
    follow.watch,
    follow.results,
    follow.cancel,
    retry,
    limits,
    logs,
    stats,
    simulate,
    doctor,
    flower,
    api,
):
    app.command()(command)
app.add_typer(worker, name="worker")
app.add_typer(quarantine, name="quarantine")
app.add_typer(discuss, name="discuss")
app.add_typer(api_key, name="api-key")
app.add_typer(bench, name="bench")
