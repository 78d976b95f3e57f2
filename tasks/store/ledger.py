"""The ledger: runs, their steps, who works on what, and what came of it.

It owns every state change (as Lua, atomically, on Redis time). It leaves messages to
`tasks.dispatch`, the periodic sweep to `tasks.upkeep` and bytes to `tasks.store.blobs`.

One implementation, asynchronous; callers without a loop go through a portal. The unit tests run
the very same scripts on fakeredis.
"""

import itertools
import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from tasks.connection import TextRedis
from tasks.errors import StaleLeaseError
from tasks.pipelining import Argument, Pipelining
from tasks.schemas.calls import CallUsage
from tasks.schemas.ledger import Claim, Reopened, RunSnapshot, StoredDocument
from tasks.schemas.plan import RunPlan, StepKind, StepRow, StepState
from tasks.schemas.steps import StepName
from tasks.store import keys
from tasks.store.reader import unknown_run
from tasks.store.rows import collects_above, increments, unsuccessful
from tasks.store.scripts import Scripts
from tasks.store.submissions import IN_ITS_ROWS, Submissions

BELL_MS = 60_000
PASSED_MS = 5_000  # a sender takes a while for what became due at once
LOOKS_AFTER = 5


class Ledger:
    """The ledger on one Redis; made with a client that decodes responses.

    `lease_s` is how long a claim lives without renewal, `resend_s` how long a message may travel
    before upkeep asks after it, `crashes` how often a worker may die under a step of model calls,
    `picture_crashes` under a picture.
    """

    def __init__(
        self,
        redis: TextRedis,
        *,
        owner: str,
        retention_s: int = 7 * 86400,
        lease_s: float = 30.0,
        crashes: int = 10,
        picture_crashes: int = 3,
        resend_s: float = 3.0,
    ) -> None:
        self.redis = redis
        self.owner = owner
        self.holder = f"{owner}/{secrets.token_hex(4)}"  # another process may have the owner's name
        self.lease_s = lease_s
        self._retention_s = retention_s
        self._crashes = crashes
        self._picture_crashes = picture_crashes
        self._grace_ms = int(resend_s * 1000)
        self._claims = itertools.count()
        self._pipelining = Pipelining(redis)
        self._scripts = Scripts(self._pipelining, retention_s)
        self.submissions = Submissions(self._scripts, owner=owner, grace_ms=self._grace_ms)

    async def now_ms(self) -> int:
        """Read Redis time in milliseconds."""
        seconds, micros = await self.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    # --- submission -----------------------------------------------------------------------

    async def write_plan(self, plan: RunPlan, *, window: int = 0) -> None:
        """Write a run whole in state `submitting`; nothing is due before `accept`."""
        await self.submissions.begin(plan, window=window)
        await self.submissions.write_rows(plan)

    async def accept(self, run_id: str) -> list[str]:
        """Open a written run for work; returns the steps that are due at once."""
        return await self.submissions.accept(run_id)

    # --- work -------------------------------------------------------------------------------

    async def claim(self, run_id: str, step: str, *, made_from: str = "", queue: str = "") -> Claim:
        """Claim a step for this owner.

        `made_from` is the hash of the step's inputs: a step that a retry made due again keeps its
        document if that has the same hash (`kept`). `queue` names the queue whose message led
        here, for the lost-message watermark.
        """
        verdict, *rest = await self._scripts.call(
            "claim",
            run_id,
            [
                step,
                made_from,
                int(self.lease_s * 1000),
                f"{self.holder}:{next(self._claims)}",
                self._most_crashes(step),
                queue,
                self._grace_ms,
            ],
            extra_keys=[keys.queued(queue)],
        )
        return Claim(
            run_id=run_id,
            step=step,
            verdict=verdict,
            fence=int(rest[0]) if verdict == "granted" else 0,
            attempt=int(rest[1]) if verdict == "granted" else 0,
            document=StoredDocument.from_text(rest[0]) if verdict in ("document", "kept") else None,
            released=tuple(rest[1:]) if verdict == "kept" else (),
        )

    async def renew(self, run_id: str, fences: Mapping[str, int]) -> set[str]:
        """Renew leases of one run; returns the steps whose lease is lost."""
        pairs = [part for step, fence in fences.items() for part in (step, fence)]
        lost = await self._scripts.call("renew", run_id, [int(self.lease_s * 1000), *pairs])
        return set(lost)

    async def store(self, claim: Claim, stored: StoredDocument) -> list[str]:
        """Store the document of a claimed step and make what waits for it due.

        Returns held steps that are released by it; their messages are the caller's to send.
        Raises StaleLeaseError when somebody else owns the step by now; the cost is counted anyway.
        """
        return await self._settle(claim, "done", stored.to_text(), "", stored.usage)

    async def fail(self, claim: Claim, error: str, usage: CallUsage | None = None) -> list[str]:
        """Record that a claimed step failed for good, and what fails with it.

        Returns held steps that are released by it. Raises StaleLeaseError when somebody else owns
        the step by now.
        """
        return await self._settle(claim, "failed", error, error, usage or CallUsage())

    async def set_aside(
        self, claim: Claim, error: str, usage: CallUsage | None = None
    ) -> list[str]:
        """Put a claimed step into quarantine with its last error: its attempts are spent.

        What needs it fails with it, until a retry. Returns and raises as `fail` does.
        """
        return await self._settle(claim, "quarantined", error, error, usage or CallUsage())

    async def postpone(
        self,
        claim: Claim,
        *,
        delay_s: float,
        error: str = "",
        free: bool = False,
        usage: CallUsage | None = None,
    ) -> None:
        """Give a claimed step back, due again in `delay_s`; `free` does not count the attempt.

        Raises StaleLeaseError when somebody else owns the step by now; the cost is counted anyway.
        """
        told: list[Argument] = [claim.step, claim.fence, int(delay_s * 1000), error, int(free)]
        kept = await self._scripts.call(
            "postpone", claim.run_id, [*told, *increments(usage or CallUsage())]
        )
        if not kept:
            raise StaleLeaseError(f"lease of {claim.run_id} {claim.step} was lost")

    async def _settle(
        self, claim: Claim, state: StepState, payload: str, note: str, usage: CallUsage
    ) -> list[str]:
        told: list[Argument] = [claim.step, claim.fence, state, payload, note, self._grace_ms]
        kept, *released = await self._scripts.call(
            "settle", claim.run_id, [*told, *increments(usage)]
        )
        if not kept:
            raise StaleLeaseError(f"lease of {claim.run_id} {claim.step} was lost")
        return list(released)

    async def take_name(self, run_id: str, name: str, persona: int) -> bool:
        """Reserve a character's name within its run; False when another character has it."""
        k = keys.RunKeys(run_id)
        key = " ".join(name.split()).casefold()
        async with self.redis.pipeline(transaction=True) as pipe:
            pipe.hsetnx(k.names, key, f"{persona} {name}")
            pipe.expire(k.names, self._retention_s)
            pipe.hget(k.names, key)  # ours, too, when we asked before and the answer was lost
            *_, holder = await pipe.execute()
        return int(str(holder).split(" ", 1)[0]) == persona

    async def give_names_back(self, run_id: str, persona: int) -> None:
        """Free the names of a character that is about to be written (again, perhaps)."""
        k = keys.RunKeys(run_id)
        held = await self.redis.hgetall(k.names)
        mine = [key for key, holder in held.items() if holder.startswith(f"{persona} ")]
        if mine:
            await self.redis.hdel(k.names, *mine)

    async def taken_names(self, run_id: str) -> dict[int, str]:
        """Names in use in a run, by character."""
        held = await self.redis.hvals(keys.RunKeys(run_id).names)
        pairs = (str(value).split(" ", 1) for value in held)
        return {int(persona): name for persona, name in pairs}

    # --- steering ---------------------------------------------------------------------------

    async def cancel(self, run_id: str, *, only: StepKind | Literal[""] = "") -> int:
        """Cancel what has not begun; returns how many steps that was, 0 when all had ended.

        With `only`, steps of that kind and what needs them; everything else goes on. Raises
        BadInputError for an unknown run.
        """
        count = int(await self._scripts.call("cancel", run_id, [only]))
        if count < 0:
            raise unknown_run(run_id)
        return count

    async def drop(self, run_id: str, step: str) -> bool:
        """Give a quarantined step up for good; False when it is not in quarantine."""
        return bool(await self._scripts.call("drop", run_id, [step]))

    async def reopen(
        self, snapshot: RunSnapshot, steps: Collection[str] | None = None
    ) -> Reopened | None:
        """Make these steps of a run due again: by default all that failed or were cancelled.

        None, and nothing is changed, when the run has ended or was retried since the snapshot. A
        step that failed asks its model anew: what a batch answered it is forgotten.
        """
        again = unsuccessful(snapshot) if steps is None else sorted(steps)
        bad = [step for step in again if snapshot.states[step] in ("failed", "quarantined")]
        if bad and snapshot.request.batch_api:
            await self.redis.hdel(keys.BatchKeys.of(snapshot.run_id).replies, *bad)
        told = sorted({*again, *collects_above(snapshot, again)})
        pairs = [part for step in told for part in (step, snapshot.states[step])]
        finished = "" if snapshot.finished_ms is None else snapshot.finished_ms
        fresh, count, due = await self._scripts.call(
            "reopen", snapshot.run_id, [finished, self._grace_ms, *pairs]
        )
        if not fresh:
            return None
        await self.redis.hset(keys.LOAD, snapshot.run_id, IN_ITS_ROWS)
        return Reopened(steps=int(count), due=tuple(due))

    async def append(self, run_id: str, rows: Sequence[StepRow]) -> list[str]:
        """Add steps to a run that goes on or has ended; returns those that are due at once.

        A step waits for what it needs to settle, whatever came of it.
        """
        parts: list[str] = []
        for row in rows:
            parts += [row.id, row.model_dump_json(), json.dumps(row.needs)]
        return list(await self._scripts.call("append", run_id, [self._grace_ms, *parts]))

    async def place(self, run_id: str, step: str, *, queue: str = "") -> tuple[str, bool]:
        """Assign a picture to a live GPU queue (`queue`, or the least loaded).

        Returns the queue and whether its bell must be rung: a worker that is rung draws all that is
        assigned to it. The queue is "" when no GPU worker is live or somebody draws it already.
        """
        placed, ring = await self._scripts.call(
            "place",
            run_id,
            [step, queue, self._grace_ms, f"{keys.GPU_BELL}:", BELL_MS],
            extra_keys=[keys.GPUS],
        )
        return str(placed), bool(ring)

    async def end_leases(self, run_id: str, holder: str, steps: Sequence[str]) -> int:
        """End those leases of these steps that are this holder's; returns how many."""
        return int(await self._scripts.call("end_leases", run_id, [holder, *steps]))

    async def overdue(self, run_id: str, step: str, *, length: int, queue: str = "") -> str:
        """Ask of one due step whether to send its message again: `send`, `wait` or `gone`.

        `length` is how many messages there are where its own can wait. One that waits in `queue` is
        looked at again as soon as it can be lost (`passed_over`), else in a few graces.
        """
        most, again_ms = self._most_crashes(step), LOOKS_AFTER * self._grace_ms
        given: list[Argument] = [step, most, self._grace_ms, PASSED_MS, again_ms, queue, length]
        where = [keys.queued(queue)]
        return str(await self._scripts.call("overdue", run_id, given, extra_keys=where))

    async def passed_over(self, lengths: Mapping[str, int], *, most: int) -> list[str]:
        """List "run step" whose messages waited in one of these queues and cannot be there now.

        The queue is empty, or has given out what was sent later. At most `most` of each queue.
        """
        consumed = await self.redis.hmget(keys.CONSUMED, list(lengths))
        async with self.redis.pipeline(transaction=False) as pipe:
            for (queue, length), at in zip(lengths.items(), consumed, strict=True):
                newest: int | str = int(at or 0) - PASSED_MS if length else "+inf"
                pipe.zrangebyscore(keys.queued(queue), "-inf", newest, start=0, num=most)
            found = await pipe.execute()
        return [member for members in found for member in members]

    def _most_crashes(self, step: str) -> int:
        """Tell how often the worker of this step may die: one that draws does nothing else then."""
        return self._picture_crashes if StepName.parse(step).is_picture else self._crashes
