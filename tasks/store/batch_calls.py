"""The calls of runs in batch mode: parked steps, chunks, answers; on the ledger's scripts.

Who talks to the provider is `tasks.batches`; nothing here is ever sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tasks.connection import TextRedis
from tasks.errors import StaleLeaseError
from tasks.pipelining import Argument, Pipelining
from tasks.schemas.batches import FREE, BatchReply, CallRow, Chunk, PendingCall
from tasks.schemas.ledger import Claim
from tasks.store import keys
from tasks.store.scripts import Scripts

PARKED_MS = 6 * 3600 * 1000  # a parked step is looked at now and then, whatever became of its calls
CALLS_A_PIECE = 500


@dataclass(frozen=True, kw_only=True)
class BatchRun:
    """What the submitter wants to know of a run; `quiet_ms` since it last asked something new."""

    known: bool
    cancelled: bool
    waiting: int
    quiet_ms: int


class BatchCalls:
    """Batch calls of all runs on one Redis."""

    def __init__(self, redis: TextRedis, *, retention_s: int, grace_s: float) -> None:
        self._redis = redis
        self._grace_ms = int(grace_s * 1000)
        self._scripts = Scripts(Pipelining(redis), retention_s)

    # --- steps ------------------------------------------------------------------------------

    async def replies(self, run_id: str, step: str) -> tuple[dict[str, BatchReply], int]:
        """Read a step's replies by key, the last one of each, and their size in bytes."""
        text = await self._redis.hget(keys.BatchKeys.of(run_id).replies, step) or ""
        found = [BatchReply.model_validate_json(line) for line in text.split("\n") if line]
        return {reply.key: reply for reply in found}, len(text.encode())

    async def park(
        self, claim: Claim, provider: str, calls: Sequence[PendingCall], *, known_bytes: int
    ) -> bool:
        """Give a claimed step back until these calls are answered; that costs it no attempt.

        False when replies came since it read `known_bytes` of them: it is due at once, and its
        message is the caller's to send. Raises StaleLeaseError.
        """
        parts: list[Argument] = []
        for call in calls:
            size = len(call.body.encode("utf-8", "surrogatepass"))
            parts += [call.key, call.attempt, call.model, size, call.body]
        kept = await self._scripts.call(
            "park",
            claim.run_id,
            [claim.step, claim.fence, known_bytes, PARKED_MS, *parts],
            extra_keys=[*keys.BatchKeys.of(claim.run_id).all, keys.batching(provider)],
        )
        if not kept:
            raise StaleLeaseError(f"lease of {claim.run_id} {claim.step} was lost")
        return int(kept) == 1

    async def forget(self, run_id: str, step: str) -> None:
        """Drop the replies of a step whose document is stored."""
        await self._redis.hdel(keys.BatchKeys.of(run_id).replies, step)

    # --- submitting ---------------------------------------------------------------------------

    async def runs(self, provider: str) -> list[str]:
        """List the runs that have something outstanding at a provider."""
        return sorted(await self._redis.smembers(keys.batching(provider)))

    async def run(self, run_id: str) -> BatchRun:
        """Look at a run."""
        k = keys.BatchKeys.of(run_id)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hmget(keys.RunKeys(run_id).run, ["state", "cancel", "batch_asked_ms"])
            pipe.hlen(k.asked)
            pipe.time()
            (state, cancel, asked_ms), waiting, time = await pipe.execute()
        now_ms = int(time[0]) * 1000 + int(time[1]) // 1000
        return BatchRun(
            known=state is not None,
            cancelled=cancel == "1",
            waiting=int(waiting),
            quiet_ms=now_ms - int(asked_ms or now_ms),
        )

    async def outstanding(self, run_id: str, chunk: str = FREE) -> list[CallRow]:
        """List the calls of a chunk, or those that are in none, by step and key."""
        found = await self._redis.hgetall(keys.BatchKeys.of(run_id).calls)
        rows = (CallRow.from_text(key, text) for key, text in found.items())
        return sorted(
            (row for row in rows if row.chunk == chunk), key=lambda row: (row.step, row.key)
        )

    async def bodies(self, run_id: str, calls: Sequence[str]) -> dict[str, str]:
        """Read the requests of these calls, those that are still there."""
        k = keys.BatchKeys.of(run_id)
        found: dict[str, str] = {}
        for part in pieces(calls):
            texts = await self._redis.hmget(k.asked, part)
            found |= {key: text for key, text in zip(part, texts, strict=True) if text is not None}
        return found

    async def intend(self, run_id: str, chunk: Chunk, calls: Sequence[str]) -> bool:
        """Put free calls into a chunk; False when one is not free or the run is cancelled."""
        done = await self._call("intend", run_id, [chunk.id, chunk.model_dump_json(), *calls])
        return bool(done)

    async def chunks(self, run_id: str) -> list[Chunk]:
        """List a run's open chunks, the oldest first."""
        texts = await self._redis.hvals(keys.BatchKeys.of(run_id).chunks)
        found = [Chunk.model_validate_json(text) for text in texts]
        return sorted(found, key=lambda chunk: (chunk.created_ms, chunk.id))

    async def note(self, run_id: str, chunk: Chunk) -> None:
        """Write down how far a chunk is; for the leader alone."""
        k = keys.BatchKeys.of(run_id)
        await self._redis.hset(k.chunks, chunk.id, chunk.model_dump_json())

    async def accepted(self, run_id: str, chunk: Chunk) -> None:
        """Drop the requests of a chunk that the provider has accepted."""
        k = keys.BatchKeys.of(run_id)
        rows = await self.outstanding(run_id, chunk.id)
        for part in pieces([row.key for row in rows]):
            await self._redis.hdel(k.asked, *part)
        await self.note(run_id, chunk)

    async def answered(self, run_id: str, chunk: str, replies: Sequence[BatchReply]) -> list[str]:
        """Take in replies; returns the steps that are due, their messages the caller's to send."""
        parts: list[Argument] = []
        for reply in replies:
            parts += [reply.key, reply.model_dump_json(), int(not reply.again)]
        return list(await self._call("answered", run_id, [chunk, self._grace_ms, *parts]))

    async def drop(self, run_id: str, calls: Sequence[str]) -> None:
        """Forget free calls of a run that was cancelled."""
        for part in pieces(calls):
            await self._call("drop_calls", run_id, part)

    async def close(self, run_id: str, provider: str, chunk: str = "") -> None:
        """Close a chunk; a run with nothing outstanding leaves the list of `runs`."""
        await self._call("close_chunk", run_id, [chunk], keys.batching(provider))

    async def leave(self, run_id: str, provider: str) -> None:
        """Take a run that has expired off the list of `runs`."""
        await self._redis.srem(keys.batching(provider), run_id)

    async def _call(self, name: str, run_id: str, arguments: Sequence[Argument], *more: str) -> Any:
        extra = [*keys.BatchKeys.of(run_id).all, *more]
        return await self._scripts.call(name, run_id, arguments, extra_keys=extra)


def pieces(calls: Sequence[str]) -> list[list[str]]:
    """Cut a long list into what one command takes."""
    return [list(calls[i : i + CALLS_A_PIECE]) for i in range(0, len(calls), CALLS_A_PIECE)]
