"""The entry of `castline`: a worker starts without importing what only other commands need."""

import sys

import typer

from producer.argv import repeated


def main() -> None:
    """Run the command line."""
    arguments = repeated(sys.argv[1:])
    if arguments[:1] == ["worker"]:
        worker_alone()(args=arguments)
    else:
        from producer.commands.whole import app

        app(args=arguments)


def worker_alone() -> typer.Typer:
    """Build a command line that has `castline worker` only: a second sooner when it is needed."""
    from producer.commands.worker import worker

    app = typer.Typer(name="castline", pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    app.add_typer(worker, name="worker")
    return app
