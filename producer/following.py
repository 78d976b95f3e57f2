"""Follows a run to its end, writes its folder, and leaves cleanly when it is interrupted."""

import asyncio
import contextlib
import signal
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from producer.console import (
    DONE,
    INTERRUPTED,
    TERMINATED,
    WITH_FAILURES,
    print_json,
    progress_console,
    say,
)
from producer.export import export_run
from producer.gathering import gather
from producer.progress import RunProgress
from producer.standing import standing
from producer.summary import final_summary
from producer.watch import WatchView
from tasks.deps import Deps
from tasks.images.monogram import monogram_png
from tasks.schemas.ledger import RunSnapshot
from tasks.schemas.status import RunStatus
from tasks.stages.card_png import embed_card


@dataclass
class Interruption:
    """Which signal asked us to stop waiting, if any."""

    stop: asyncio.Event
    code: int = DONE

    def ask(self, code: int) -> None:
        """Stop waiting; the run goes on."""
        self.code = code
        self.stop.set()


@contextlib.contextmanager
def interruptible() -> Iterator[Interruption]:
    """Catch Ctrl-C and SIGTERM while waiting."""
    interruption = Interruption(asyncio.Event())
    loop = asyncio.get_running_loop()
    codes = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}
    for number, code in codes.items():
        loop.add_signal_handler(number, interruption.ask, code)
    try:
        yield interruption
    finally:
        for number in codes:
            loop.remove_signal_handler(number)


async def follow(
    deps: Deps,
    run_id: str,
    *,
    out: Path | None,
    as_json: bool,
    quiet: bool = False,
    submitting: Coroutine[None, None, None] | None = None,
    told: dict[str, Any] | None = None,
) -> int:
    """Show a run's progress until it ends, then write its folder; returns the exit code.

    Interrupted, it says how to come back, prints what there is, and the run goes on; `submitting`,
    which comes first, is finished even then, and so is the folder of a run that has ended. `told`
    is added to the JSON.
    """
    with interruptible() as interruption:
        if submitting is not None:
            await submitting
        snapshot = await watch_until_end(deps, run_id, interruption, quiet=quiet)
        status = standing(snapshot)
        if snapshot.state != "finished":
            say(f"The run goes on. Come back with: castline watch {run_id}")
            return finish(status, told, as_json=as_json, code=interruption.code)
        if out is not None:
            status = await write_folder(deps, snapshot, out)
    code = DONE if status.state == "done" else WITH_FAILURES
    return finish(status, told, as_json=as_json, code=code)


def finish(
    status: RunStatus, told: dict[str, Any] | None = None, *, as_json: bool, code: int
) -> int:
    """Print the end of the story."""
    if as_json:
        print_json({**status.model_dump(mode="json"), **(told or {})})
    elif code in (DONE, WITH_FAILURES):
        final_summary(status, progress_console)
    return code


async def watch_until_end(
    deps: Deps, run_id: str, interruption: Interruption, *, quiet: bool
) -> RunSnapshot:
    """Feed a run's events to the view until it is finished or we are interrupted."""
    snapshot = await deps.reader.snapshot(run_id)
    names = dict(snapshot.names)
    progress = RunProgress(steps=list(snapshot.rows.values()), states=snapshot.states, names=names)
    view = WatchView(progress_console, progress, title=run_id)
    with contextlib.nullcontext() if quiet else view:
        view.waits(snapshot.batch)
        while snapshot.state != "finished" and not interruption.stop.is_set():
            await feed(deps, snapshot, view, names, interruption)
            snapshot = await deps.reader.snapshot(run_id)
            view.waits(snapshot.batch)
    return snapshot


async def feed(
    deps: Deps,
    snapshot: RunSnapshot,
    view: WatchView,
    names: dict[int, str],
    interruption: Interruption,
) -> None:
    """Show events until the run ends, a stop is asked for, or the stream falls silent for long."""
    run_id, quiet_turns = snapshot.run_id, 0
    async for event in deps.reader.events(run_id, snapshot.last_event, block_s=0.5):
        if event is None:
            quiet_turns += 1
            if snapshot.batch is not None:
                view.waits(await deps.reader.batch(run_id))
            view.tick()
        else:
            quiet_turns = 0
            if event.step.endswith(".core") and event.state == "done":
                names.update(await deps.ledger.taken_names(run_id))
            view.update(event)
        ended = event is not None and event.step == "" and event.state == "finished"
        if ended or interruption.stop.is_set() or quiet_turns > QUIET_TURNS:
            return


QUIET_TURNS = 10


async def write_folder(deps: Deps, snapshot: RunSnapshot, out: Path) -> RunStatus:
    """Gather a run's documents and pictures and write its folder."""
    export = await gather(deps, snapshot, out=out)
    await asyncio.to_thread(export_run, export, out, embed=embed_card, monogram=monogram_png)
    return export.status
