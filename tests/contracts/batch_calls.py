"""What the ledger of batch calls must do; run on fakeredis and on Valkey."""

import asyncio
from typing import Any

import pytest

from tasks.errors import StaleLeaseError
from tasks.schemas.batches import BatchReply, Chunk, PendingCall
from tasks.schemas.completion import Completion
from tasks.schemas.ledger import Claim, StoredDocument
from tasks.schemas.plan import Request, RunPlan, Source, StepRow
from tasks.store import keys
from tasks.store.batch_calls import BatchCalls
from tasks.store.ledger import Ledger
from tasks.store.reader import RunReader

RUN, STEP, PROVIDER = "r1", "p0.core", "llm"


class Store:
    """A run of one step, and the ledgers on it."""

    def __init__(self, redis: Any) -> None:
        self.redis = redis
        self.ledger = Ledger(redis, owner="a")
        self.calls = BatchCalls(redis, retention_s=1000, grace_s=1)
        self.reader = RunReader(redis)

    async def begun(self) -> "Store":
        row = StepRow(id=STEP, kind="stage", item="p0", persona=0)
        request = Request(sources=(Source(label="x"),), batch_api=True)
        await self.ledger.write_plan(RunPlan(run_id=RUN, request=request, steps=(row,)))
        await self.ledger.accept(RUN)
        return self

    async def claim(self) -> Claim:
        claim = await self.ledger.claim(RUN, STEP, made_from="h")
        assert claim.verdict == "granted", claim.verdict
        return claim

    async def park(self, *names: str, known_bytes: int | None = None) -> bool:
        claim = await self.claim()
        known = (
            (await self.calls.replies(RUN, STEP))[1] if known_bytes is None else (known_bytes or 0)
        )
        asked = [call(n) for n in names]
        return await self.calls.park(claim, PROVIDER, asked, known_bytes=known)

    async def chunked(self, name: str, *calls: str) -> bool:
        chunk = Chunk(id=name, model="m", calls=len(calls), created_ms=1)
        return await self.calls.intend(RUN, chunk, calls)

    async def state(self) -> str:
        return str((await self.reader.snapshot(RUN)).states[STEP])


def call(key: str, attempt: int = 1) -> PendingCall:
    return PendingCall(key=key, model="a model", body='{"x": "é"}', attempt=attempt)


def reply(key: str, *, again: bool = False) -> BatchReply:
    done = Completion(
        text="hi\nthere", finish_reason="stop", model="m", prompt_tokens=1, completion_tokens=1
    )
    return BatchReply(key=key, attempts=1, completion=None if again else done, again=again)


@pytest.mark.anyio
class BatchCallsContract:
    """Give a `redis` fixture, inherit the tests."""

    async def test_a_parked_step_waits_without_lease_and_without_an_attempt_spent(
        self, redis: Any
    ) -> None:
        store = await Store(redis).begun()
        assert await store.park("k1", "k2")
        assert await store.state() == "waiting"
        assert (await store.claim()).attempt == 1
        rows = await store.calls.outstanding(RUN)
        assert [(r.key, r.step, r.model, r.size_bytes) for r in rows] == [
            ("k1", STEP, "a model", 11),
            ("k2", STEP, "a model", 11),
        ]
        assert await store.calls.runs(PROVIDER) == [RUN]

    async def test_who_lost_the_lease_cannot_park(self, redis: Any) -> None:
        store = await Store(redis).begun()
        claim = await store.claim()
        await store.ledger.postpone(claim, delay_s=0)
        with pytest.raises(StaleLeaseError):
            await store.calls.park(claim, PROVIDER, [call("k")], known_bytes=0)

    async def test_a_step_that_is_parked_again_asks_nothing_twice(self, redis: Any) -> None:
        store = await Store(redis).begun()
        await store.park("k1")
        await store.chunked("c1", "k1")
        await store.park("k1", "k2")
        assert [r.key for r in await store.calls.outstanding(RUN)] == ["k2"]
        assert [r.key for r in await store.calls.outstanding(RUN, "c1")] == ["k1"]
        standing = await store.reader.batch(RUN)
        assert (standing.asked, standing.back, standing.pending) == (2, 0, 2)

    async def test_a_step_is_due_when_the_last_of_its_calls_is_answered(self, redis: Any) -> None:
        store = await Store(redis).begun()
        await store.park("k1", "k2")
        await store.chunked("c1", "k1", "k2")
        assert await store.calls.answered(RUN, "c1", [reply("k1")]) == []
        assert await store.calls.answered(RUN, "c1", [reply("k2")]) == [STEP]
        known, size = await store.calls.replies(RUN, STEP)
        assert (set(known), known["k1"]) == ({"k1", "k2"}, reply("k1"))
        assert size > 0

    async def test_answers_that_come_twice_or_from_another_chunk_change_nothing(
        self, redis: Any
    ) -> None:
        store = await Store(redis).begun()
        await store.park("k1", "k2")
        await store.chunked("c1", "k1")
        assert await store.calls.answered(RUN, "c2", [reply("k1")]) == []
        assert await store.calls.answered(RUN, "c1", [reply("k2")]) == []
        await store.calls.answered(RUN, "c1", [reply("k1")])
        before = await store.calls.replies(RUN, STEP)
        assert await store.calls.answered(RUN, "c1", [reply("k1")]) == []
        assert await store.calls.replies(RUN, STEP) == before
        assert (await store.reader.batch(RUN)).back == 1

    async def test_an_answer_that_comes_while_its_step_runs_makes_it_due_at_once(
        self, redis: Any
    ) -> None:
        store = await Store(redis).begun()
        await store.park("k1")
        await store.chunked("c1", "k1")
        claim = await store.claim()  # a message that came twice; it has read no reply yet
        assert await store.calls.answered(RUN, "c1", [reply("k1")]) == []
        assert not await store.calls.park(claim, PROVIDER, [call("k1")], known_bytes=0)
        assert await store.calls.outstanding(RUN) == []
        assert (await store.claim()).attempt == 1

    async def test_a_call_is_in_one_chunk_at_most_and_a_chunk_takes_all_or_none(
        self, redis: Any
    ) -> None:
        store = await Store(redis).begun()
        await store.park("k1", "k2", "k3")
        assert await store.chunked("c1", "k1", "k2")
        assert not await store.chunked("c2", "k2", "k3")
        assert [r.key for r in await store.calls.outstanding(RUN)] == ["k3"]
        assert [c.id for c in await store.calls.chunks(RUN)] == ["c1"]

    async def test_rival_submitters_put_every_call_into_one_chunk(self, redis: Any) -> None:
        store = await Store(redis).begun()
        names = [f"k{n}" for n in range(9)]
        await store.park(*names)
        parts = [names[i : i + 3] for i in (0, 3, 6)]
        rivals = [store.chunked(f"{who}{i}", *p) for who in "ab" for i, p in enumerate(parts)]
        assert sum(await asyncio.gather(*rivals)) == 3
        assert await store.calls.outstanding(RUN) == []

    async def test_requests_are_dropped_once_the_provider_has_accepted_them(
        self, redis: Any
    ) -> None:
        store = await Store(redis).begun()
        await store.park("k1", "k2")
        await store.chunked("c1", "k1")
        assert await store.calls.bodies(RUN, ["k1", "k2"]) == dict.fromkeys(
            ("k1", "k2"), '{"x": "é"}'
        )
        (chunk,) = await store.calls.chunks(RUN)
        await store.calls.accepted(RUN, chunk)
        assert set(await store.calls.bodies(RUN, ["k1", "k2"])) == {"k2"}
        assert [r.key for r in await store.calls.outstanding(RUN, "c1")] == ["k1"]

    async def test_a_cancelled_run_is_chunked_no_more_and_its_free_calls_are_dropped(
        self, redis: Any
    ) -> None:
        store = await Store(redis).begun()
        await store.park("k1", "k2")
        await store.chunked("c1", "k1")
        await store.ledger.cancel(RUN)
        assert not await store.chunked("c2", "k2")
        await store.calls.drop(RUN, ["k1", "k2"])
        assert await store.calls.outstanding(RUN) == []
        assert len(await store.calls.outstanding(RUN, "c1")) == 1
        await store.calls.close(RUN, PROVIDER)
        assert await store.calls.runs(PROVIDER) == [RUN]
        assert await store.calls.answered(RUN, "c1", [reply("k1")]) == []
        await store.calls.close(RUN, PROVIDER, "c1")
        assert await store.calls.runs(PROVIDER) == []

    async def test_a_retried_step_that_failed_asks_anew_and_a_cancelled_one_keeps_its_answers(
        self, redis: Any
    ) -> None:
        for fails in (True, False):
            await redis.flushdb()
            store = await Store(redis).begun()
            await store.park("k1")
            await store.chunked("c1", "k1")
            await store.calls.answered(RUN, "c1", [reply("k1")])
            if fails:
                await store.ledger.fail(await store.claim(), "bad")
            else:
                await store.ledger.cancel(RUN)
            await store.ledger.reopen(await store.reader.snapshot(RUN))
            known, _ = await store.calls.replies(RUN, STEP)
            assert set(known) == (set() if fails else {"k1"})

    async def test_everything_of_a_run_expires(self, redis: Any) -> None:
        store = await Store(redis).begun()
        await store.park("k1", "k2")
        await store.chunked("c1", "k1")
        await store.calls.answered(RUN, "c1", [reply("k1")])
        for key in keys.BatchKeys.of(RUN).all:
            assert 0 < await redis.ttl(key) <= 1000

    async def test_replies_are_forgotten_with_the_document(self, redis: Any) -> None:
        store = await Store(redis).begun()
        await store.park("k1")
        await store.chunked("c1", "k1")
        await store.calls.answered(RUN, "c1", [reply("k1")])
        await store.ledger.store(await store.claim(), StoredDocument(made_from="h", document={}))
        await store.calls.forget(RUN, STEP)
        assert await store.calls.replies(RUN, STEP) == ({}, 0)
