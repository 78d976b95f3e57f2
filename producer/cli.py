"""The entry of `castline`: a command starts without importing what only other commands need."""

import sys
from importlib import import_module

import typer

from producer.argv import repeated

ALONE = {
    **dict.fromkeys(("up", "down", "demo"), "producer.commands.stack"),
    **dict.fromkeys(("run", "persona", "tweets", "images"), "producer.commands.create"),
    **dict.fromkeys(("runs", "status", "watch", "results", "cancel"), "producer.commands.follow"),
    **dict.fromkeys(("worker", "flower"), "producer.commands.worker"),
    **{
        name: f"producer.commands.{name}"
        for name in (
            *("analyze", "api", "discuss", "doctor"),
            *("limits", "logs", "quarantine", "retry", "stats"),
        )
    },
    "simulate": "producer.simulate",
}


def main() -> None:
    """Run the command line."""
    arguments = repeated(sys.argv[1:])
    command_line(arguments[0] if arguments else "")(args=arguments)


def command_line(command: str) -> typer.Typer:
    """Build a command line that has this command only: it is there in half the time.

    The whole one for what is no command, which then says which there are.
    """
    if command not in ALONE:
        from producer.commands.whole import app

        return app
    found = getattr(import_module(ALONE[command]), command)
    alone = typer.Typer(name="castline", pretty_exceptions_enable=False)
    alone.callback()(lambda: None)
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=command)
    else:
        alone.command()(found)
    return alone
