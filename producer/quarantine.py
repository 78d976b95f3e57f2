"""Reads what is in quarantine, of both kinds; it prints nothing."""

from collections.abc import Sequence

from tasks.deps import Deps
from tasks.errors import BadInputError
from tasks.schemas.quarantine import BadMessage, QuarantineLine
from tasks.store import bad_messages, keys

Entry = BadMessage | QuarantineLine


async def listed(deps: Deps) -> list[QuarantineLine]:
    """List everything, newest first."""
    lines = [line_of(entry) for entry in await contents(deps)]
    return sorted(lines, key=lambda line: line.at_ms, reverse=True)


async def contents(deps: Deps) -> list[Entry]:
    """Read everything: messages, then steps."""
    return [*await bad_messages.every(deps.redis), *await steps(deps)]


async def steps(deps: Deps) -> list[QuarantineLine]:
    """Read the steps that were claimed too often, with their last error."""
    members = await deps.redis.zrange(keys.QUARANTINED, 0, -1, withscores=True)
    found = []
    for member, at_ms in members:
        run_id, step = member.split(" ", 1)
        error = await deps.redis.hget(keys.RunKeys(run_id).errors, step)
        found.append(
            QuarantineLine(
                id=f"{run_id}:{step}",
                kind="step",
                at_ms=int(at_ms),
                place=f"{run_id} {step}",
                reason=error or "its run has expired",
            )
        )
    return found


async def find(deps: Deps, ids: Sequence[str]) -> list[Entry]:
    """Find entries by their ids. Raises BadInputError for one that is not there."""
    known = {entry.id: entry for entry in await contents(deps)}
    for wanted in ids:
        if wanted not in known:
            raise BadInputError(
                f"{wanted!r} is not in quarantine", hint="`castline quarantine list` shows what is"
            )
    return [known[wanted] for wanted in dict.fromkeys(ids)]


def line_of(entry: Entry) -> QuarantineLine:
    """Describe an entry in one line."""
    if isinstance(entry, QuarantineLine):
        return entry
    return QuarantineLine(
        id=entry.id, kind="message", at_ms=entry.at_ms, place=entry.queue, reason=entry.reason
    )


def step_of(line: QuarantineLine) -> tuple[str, str]:
    """Read a step's run and id from its line."""
    run_id, step = line.id.split(":", 1)
    return run_id, step
