"""`up`, `down`, `demo`: everything on this machine."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Annotated

import typer

from producer import localstack
from producer.commands.options import AsJson
from producer.console import INTERRUPTED, print_json, reporting, say
from producer.localstack import StackWishes
from producer.out_folder import check_out_folder
from tasks.settings import Settings, load_settings, read_settings
from tasks.stackfile import StackNote

DEMO_TEXTS = (
    "A lighthouse keeper on a northern island who repairs radios and talks to ships at night.",
    "A night baker in a harbour town who names every sourdough after a forgotten explorer.",
)


@reporting
def up(
    gpus: Annotated[int, typer.Option("--gpus", min=0, max=64, help="Image workers.")] = 1,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when everything is healthy.")
    ] = False,
    flower: Annotated[bool, typer.Option("--flower/--no-flower", help="Monitor page.")] = True,
    as_json: AsJson = False,
) -> None:
    """Start the local stack: Redis, simulated provider, workers, upkeep, Flower; all supervised."""
    settings = load_settings()
    wishes = StackWishes(home=settings.home_path, gpus=gpus, flower=flower)
    note = bring_up(settings, wishes)
    if as_json:
        print_json({"state": "running", "flower": note.flower_url, "gpus": gpus})
    else:
        announce(note)
    if detach:
        return
    try:
        wait_for_signal()
    finally:
        say("Stopping …")
        localstack.stop(wishes)
    raise typer.Exit(INTERRUPTED)


@reporting
def down(as_json: AsJson = False) -> None:
    """Stop the local stack and wait until nothing of it is left."""
    stopped = localstack.stop(StackWishes(home=load_settings().home_path, gpus=0))
    if as_json:
        print_json({"stopped": stopped})
    else:
        say("The stack is stopped." if stopped else "No stack was running here.")


@reporting
def demo(
    personas: Annotated[int, typer.Option("--personas", min=1, help="Characters.")] = 2,
    tweets: Annotated[int, typer.Option("--tweets", min=1, help="Tweets for each.")] = 4,
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run the main job once with everything embedded: no key, no GPU, nothing left running."""
    from producer.commands import create  # `up` and `down` start without it

    folder = (out or Path("castline-out") / f"demo-{time.strftime('%Y%m%d-%H%M%S')}").absolute()
    check_out_folder(folder, None)
    home = load_settings().home_path / "demo"
    use_embedded_defaults(home)
    wishes = StackWishes(home=home, gpus=1, flower=False)
    say("Castline demo: simulated model provider, untrained tiny image model, all on this machine.")
    try:
        bring_up(load_settings(), wishes)
        create.run(
            text=list(DEMO_TEXTS[: min(personas, len(DEMO_TEXTS))]),
            personas=personas,
            tweets=tweets,
            images=True,
            out=folder,
            as_json=as_json,
        )
    finally:
        localstack.stop(wishes)


def use_embedded_defaults(home: Path) -> None:
    """Forget this user's servers, keys and limits for the demo; it must not spend anything."""
    for name in list(os.environ):
        if name.startswith("CASTLINE_") or name in ("MAX_CONCURRENT", "BIGMODEL_API_KEY"):
            del os.environ[name]
    os.environ["CASTLINE_HOME"] = str(home)
    os.environ["CASTLINE_PROVIDER"] = "simulated"
    load_settings.cache_clear()


def bring_up(settings: Settings, wishes: StackWishes) -> StackNote:
    """Start a stack and wait until it is healthy; a stack that is not gets stopped again."""
    say("Starting the local stack …")
    note = localstack.start(wishes)
    fresh = read_settings(home=settings.home_path)
    try:
        asyncio.run(localstack.wait_until_healthy(fresh, wishes))
    except BaseException:
        localstack.stop(wishes)
        raise
    return note


def announce(note: StackNote) -> None:
    """Say where things are."""
    say("The stack is up." + (f" Flower: {note.flower_url}" if note.flower_url else ""))
    if note.simulate_url:
        say(f"Simulated provider: {note.simulate_url} (set CASTLINE_LLM_BASE_URL for a real one)")


def wait_for_signal() -> None:
    """Sleep until SIGTERM or Ctrl-C."""
    ending = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)  # unblocked, SIGTERM would just end us
    say("Ctrl-C stops everything.")
    signal.sigwait(ending)
