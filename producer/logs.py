"""Finds log lines of all machines: the newest, or those that come; prints nothing."""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from tasks.deps import Deps
from tasks.errors import BadInputError
from tasks.schemas.frozen import Frozen
from tasks.schemas.telemetry import LogLine
from tasks.store import keys, telemetry

LEVELS = ("debug", "info", "warning", "error", "critical")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LISTED = 200


class RunLog(Frozen):
    """A run's log: how many lines, and when the last one came (Redis milliseconds)."""

    run: str
    kind: str
    lines: int
    last_ms: int


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which lines: of a run ("" = all there are), from a level up, with a text, of a service."""

    run: str = ""
    level: str = "debug"
    pattern: str = ""
    service: str = ""
    since_ms: int = 0

    @property
    def stream(self) -> str:
        """Where they are."""
        return keys.run_log(self.run) if self.run else keys.LOG

    def filter(self) -> Callable[[LogLine], bool]:
        """Build the test of a line. Raises BadInputError for a wrong level or pattern."""
        if self.level not in LEVELS:
            raise BadInputError(f"--level {self.level!r}", hint=f"one of: {', '.join(LEVELS)}")
        try:
            pattern = re.compile(self.pattern, re.IGNORECASE)
        except re.error as error:
            raise BadInputError(
                f"--grep: {error.msg} at position {error.pos}", hint="it is a regular expression"
            ) from None
        levels = frozenset(LEVELS[LEVELS.index(self.level) :])

        def wanted(line: LogLine) -> bool:
            entry = line.entry
            return (
                entry.get("level", "info") in levels
                and self.service in str(entry.get("service", ""))
                and bool(pattern.search(" ".join(map(str, entry.values()))))
            )

        return wanted


def since_ms(text: str, *, now_ms: int) -> int:
    """Read `90s`, `10m`, `2h`, `1d` as a moment; "" is the beginning. Raises BadInputError."""
    if not text:
        return 0
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if match is None:
        raise BadInputError(f"--since {text!r}", hint="it looks like 90s, 10m, 2h or 1d")
    return now_ms - int(match[1]) * UNITS[match[2]] * 1000


async def newest(deps: Deps, wanted: Wanted, *, count: int) -> list[LogLine]:
    """Find the newest lines that are wanted, oldest of them first."""
    fits, found, before = wanted.filter(), list[LogLine](), "+"
    while len(found) < count:
        page = await telemetry.lines_before(
            deps.redis, wanted.stream, since_ms=wanted.since_ms, before=before
        )
        found += [line for line in page if fits(line)]
        if len(page) < telemetry.PAGE:
            break
        before = f"({page[-1].id}"
    return found[:count][::-1]


async def following(deps: Deps, wanted: Wanted, *, after: str) -> AsyncIterator[LogLine | None]:
    """Yield wanted lines after an entry as they come, for ever; None now and then."""
    fits = wanted.filter()
    while True:
        lines = await telemetry.lines_after(deps.redis, wanted.stream, after, block_s=0.5)
        for line in lines:
            after = line.id
            if fits(line):
                yield line
        yield None


async def run_logs(deps: Deps) -> list[RunLog]:
    """List the runs that have a log, the newest run first."""
    runs = await deps.reader.runs(LISTED)
    async with deps.redis.pipeline(transaction=False) as pipe:
        for run in runs:
            pipe.xlen(keys.run_log(run.run_id))
            pipe.xrevrange(keys.run_log(run.run_id), count=1)
        answers = await pipe.execute()
    pairs = zip(runs, answers[::2], answers[1::2], strict=True)
    return [
        RunLog(
            run=run.run_id, kind=run.kind, lines=int(lines), last_ms=int(last[0][0].split("-")[0])
        )
        for run, lines, last in pairs
        if lines
    ]
