"""What is said and how: data on stdout, progress on stderr, errors as a message with a hint."""

import functools
import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import typer
from pydantic import BaseModel
from redis.exceptions import OutOfMemoryError, RedisError
from rich.console import Console

from tasks.errors import (
    BadInputError,
    CastlineError,
    ConfigurationError,
    NoWorkerError,
    OverloadedError,
    RedisFullError,
    ServiceAwayError,
)

DONE, WITH_FAILURES, BAD_INPUT, SERVICE_AWAY, INTERRUPTED, TERMINATED = 0, 1, 2, 69, 130, 143

progress_console = Console(stderr=True, highlight=False)
data_console = Console(highlight=False)

P = ParamSpec("P")
R = TypeVar("R")

_debug = False


def set_debug(debug: bool) -> None:
    """Show tracebacks from now on."""
    global _debug
    _debug = debug


def print_json(data: BaseModel | dict[str, Any]) -> None:
    """Print exactly one JSON object on stdout."""
    plain = data.model_dump(mode="json") if isinstance(data, BaseModel) else data
    sys.stdout.write(json.dumps(plain, ensure_ascii=False, indent=2) + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Print a line for the person in front, on stderr."""
    progress_console.print(text, markup=False, soft_wrap=True)


def reporting(command: Callable[P, R]) -> Callable[P, R]:
    """Turn our errors into a message, a hint and the exit code of section 8."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except CastlineError as error:
            raise typer.Exit(report(error)) from None
        except OutOfMemoryError:
            full = RedisFullError(
                "Redis is full and took nothing more",
                hint="raise its maxmemory; what was under way goes on by itself then",
            )
            raise typer.Exit(report(full)) from None
        except BrokenPipeError:
            hear_no_more()
            raise typer.Exit(DONE) from None
        except (RedisError, ConnectionError) as error:
            away = ServiceAwayError(
                f"Redis went away ({type(error).__name__})",
                hint="the run goes on when it is back; start it with `castline up --detach`",
            )
            raise typer.Exit(report(away)) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None

    return wrapped


def hear_no_more() -> None:
    """Go quiet: whoever read our output (`… | head`) has enough, and Python flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def report(error: CastlineError) -> int:
    """Print an error for a person; returns the exit code that fits."""
    if _debug:
        progress_console.print(traceback.format_exc(), markup=False)
    progress_console.print(f"castline: {error}", style="bold red", markup=False, soft_wrap=True)
    if error.hint:
        progress_console.print(f"  → {error.hint}", markup=False, soft_wrap=True)
    return exit_code(error)


def exit_code(error: CastlineError) -> int:
    """Choose the exit code of an error."""
    if isinstance(error, ServiceAwayError | NoWorkerError | OverloadedError):
        return SERVICE_AWAY
    if isinstance(error, BadInputError | ConfigurationError):
        return BAD_INPUT
    return WITH_FAILURES
