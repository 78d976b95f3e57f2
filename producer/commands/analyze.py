"""`analyze`: rounds of topic analyses, with a file that is whole after every round."""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from producer import session
from producer.analyses import Listener, Order, Stopping, cleaned, config_of, rounds
from producer.analysis_file import check_file, write_file
from producer.analysis_results import Round, report
from producer.analysis_view import AnalysisView
from producer.commands.options import AsJson, Language, Priority
from producer.console import (
    DONE,
    INTERRUPTED,
    TERMINATED,
    WITH_FAILURES,
    print_json,
    progress_console,
    reporting,
    say,
)
from producer.duration import clock_text
from producer.inputs import read_text
from tasks.deps import Deps
from tasks.errors import BadInputError

MOST_IN_A_FLAG = 1000
ONE_WISH_S = 1.0
OPTIONS = {"delay_s": "--delay", "timeout_s": "--timeout"}


@reporting
def analyze(
    topics: Annotated[
        list[str], typer.Option("--topics", help="Topics, one after another.", show_default=False)
    ] = [],
    topics_file: Annotated[
        str, typer.Option("--topics-file", help="File with a topic on each line; - reads stdin.")
    ] = "",
    iterations: Annotated[int, typer.Option("--iterations", help="Rounds; 0 = for ever.")] = 1,
    concurrency: Annotated[int, typer.Option("--concurrency", help="Model calls at once.")] = 4,
    delay: Annotated[float, typer.Option("--delay", help="Seconds between rounds.")] = 0.5,
    timeout: Annotated[
        float, typer.Option("--timeout", help="Seconds for a topic's search, and for its analysis.")
    ] = 120,
    max_retries: Annotated[
        int, typer.Option("--max-retries", help="Retries of each model call.")
    ] = 2,
    batch_size: Annotated[
        int, typer.Option("--batch-size", help="Topics begun at a time; 0 = as many as calls.")
    ] = 0,
    chat_model: Annotated[
        str, typer.Option("--chat-model", help="Model that analyses; else the workers' own.")
    ] = "",
    tool_model: Annotated[
        str, typer.Option("--tool-model", help="Model that searches; else the workers' own.")
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option("--output", help="File to write; default castline-out/analysis-….json."),
    ] = None,
    language: Language = "en",
    priority: Priority = "interactive",
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    as_json: AsJson = False,
) -> None:
    """Analyse topics in rounds: a search for each, then an analysis.

    The file is written after every round. Ctrl-C or SIGTERM: no more topics are
    begun, those under way are waited for; a second one waits for nothing.
    """
    if topics == ["-"]:
        topics, topics_file = [], "-"
    chosen, twice = cleaned([*given(topics), *from_file(topics_file)])
    if twice:
        say(f"Given more than once, analysed once: {some(twice)}")
    order = order_of(
        analysis={
            "topics": chosen, "timeout_s": timeout, "max_retries": max_retries,
            "batch_size": batch_size, "chat_model": chat_model, "tool_model": tool_model,
        },
        iterations=iterations, delay_s=delay, concurrency=concurrency, language=language,
        priority=priority,
    )  # fmt: skip
    path = (output or default_path()).absolute()
    check_file(path)

    async def analyse(deps: Deps) -> int:
        return await Analysing(deps, order, path, quiet=quiet, as_json=as_json).run()

    raise typer.Exit(session.run(analyse))


def given(topics: list[str]) -> list[str]:
    """Take the topics of the command line. Raises BadInputError for more than fit there."""
    if len(topics) > MOST_IN_A_FLAG:
        raise BadInputError(
            f"{len(topics):,} topics on the command line are too many",
            hint="write them into a file, one on each line: --topics-file FILE (- reads stdin)",
        )
    return topics


def from_file(name: str) -> list[str]:
    """Read topics from a file or stdin, one on each line; empty lines are left out.

    Raises BadInputError for a file that is absent, empty or no text.
    """
    if not name:
        return []
    if name == "-":
        try:
            text = sys.stdin.read()
        except UnicodeDecodeError:
            raise BadInputError("stdin is not UTF-8 text", hint="save it as UTF-8") from None
    else:
        text = read_text(Path(name), what="topics file", hint="write a topic on each line")
    return [line for line in text.splitlines() if line.strip()]


def order_of(**values: Any) -> Order:
    """Check the figures. Raises BadInputError that names the option."""
    try:
        return Order.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = str(first["loc"][-1])
        option = OPTIONS.get(key, f"--{key.replace('_', '-')}")
        raise BadInputError(f"{option}: {first['msg']}") from None


def default_path() -> Path:
    """Name a file of this moment."""
    return Path("castline-out") / f"analysis-{time.strftime('%Y%m%d-%H%M%S')}.json"


def some(texts: tuple[str, ...]) -> str:
    """Show the first few, and say how many more there are."""
    shown = ", ".join(repr(text[:40]) for text in texts[:3])
    return shown + (f" and {len(texts) - 3:,} more" if len(texts) > 3 else "")


@dataclass
class Analysing:
    """One command at work: its rounds so far, and how it was asked to stop."""

    deps: Deps
    order: Order
    path: Path
    quiet: bool
    as_json: bool
    ended: list[Round] = field(default_factory=list)
    stopping: Stopping = field(default_factory=Stopping)
    code: int = DONE
    stopped_s: float = 0.0
    clock: Callable[[], float] = time.monotonic

    async def run(self) -> int:
        """Run the rounds; returns the exit code."""
        begun_s = time.monotonic()
        view = AnalysisView(progress_console, iterations=self.order.iterations)
        listener = Listener(begins=view.begins, moves=view.moves, waits=self.tell_wait)
        told = report([], config=config_of(self.order), seconds=0)
        with self.stoppable(), contextlib.nullcontext() if self.quiet else view:
            async for one in rounds(
                self.deps, self.order, stopping=self.stopping, listener=listener
            ):
                self.ended.append(one)
                told = report(
                    self.ended, config=config_of(self.order), seconds=time.monotonic() - begun_s
                )
                await asyncio.to_thread(write_file, self.path, told)
                self.tell_round(one)
        if not self.ended:
            write_file(self.path, told)
        self.tell_end(told)
        failed = told["summary"]["failed_tasks"]
        return self.code or (WITH_FAILURES if failed else DONE)

    @contextlib.contextmanager
    def stoppable(self) -> Iterator[None]:
        """Let Ctrl-C and SIGTERM end the analysis, the second one at once."""
        loop = asyncio.get_running_loop()
        codes = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}
        for number, code in codes.items():
            loop.add_signal_handler(number, self.stop, code)
        try:
            yield
        finally:
            for number in codes:
                loop.remove_signal_handler(number)

    def stop(self, code: int) -> None:
        """Take a signal; timeout(1) sends SIGTERM to the command and at once to its group again."""
        now_s = self.clock()
        if self.stopping.soon.is_set():
            if code != TERMINATED or now_s - self.stopped_s > ONE_WISH_S:
                self.stopping.now.set()
            return
        self.code, self.stopped_s = code, now_s
        self.stopping.soon.set()
        wait = clock_text(self.order.analysis.timeout_s)
        say(f"Stopping: no more topics; those under way may take {wait}. Again: stop at once.")

    def tell_round(self, one: Round) -> None:
        """Say what came of a round."""
        if self.quiet:
            return
        figures = one.statistics()
        say(
            f"Round {one.number}: {one.done} done, {one.failed} failed in "
            f"{clock_text(one.seconds)}, {figures['search_results']} search results, "
            f"{clock_text(figures['average_execution_time'])} each ({one.run_id})"
        )

    def tell_wait(self, error: Exception, seconds: float) -> None:
        """Say why the next round waits."""
        say(f"The next round waits {clock_text(seconds)}: {error}")

    def tell_end(self, told: dict[str, Any]) -> None:
        """Say what came of everything, and where it is."""
        summary = told["summary"]
        if self.as_json:
            print_json(told)
        elif not self.quiet:
            say(
                f"{summary['successful_tasks']} of {summary['total_tasks']} topics analysed, "
                f"{summary['failed_tasks']} failed, in "
                f"{clock_text(summary['total_execution_time'])}."
            )
            failed = [result for result in told["results"] if not result["success"]]
            for result in failed[:5]:
                say(f"  ✗ {result['topic'][:60]}: {result['error_message'][:200]}")
            if len(failed) > 5:
                say(f"  … and {len(failed) - 5} more")
        if not self.as_json:
            say(f"Written to {self.path}")
