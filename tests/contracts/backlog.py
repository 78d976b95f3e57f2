"""What the backlog must do; run on fakeredis (unit) and on Valkey (integration)."""

import asyncio
from typing import Any

import pytest

from producer.plan import plan_run
from tasks.schemas.calls import CallUsage
from tasks.schemas.ledger import StoredDocument
from tasks.schemas.load import Backlog
from tasks.schemas.plan import Request, RunPlan, Source
from tasks.store import backlog, keys
from tasks.store.backlog import USUAL, BacklogBook
from tasks.store.ledger import Ledger
from tasks.store.reader import RunReader

CALLS = 11 + 1 + 2


def plan_of(run_id: str, *, personas: int = 1, **fields: Any) -> RunPlan:
    """Plan characters from texts with two tweets each: 14 calls a character."""
    sources = tuple(Source(label=f"s{n}", text="x") for n in range(personas))
    return plan_run(run_id, Request.model_validate({"sources": sources, "tweets": 2, **fields}))


def ledger_on(redis: Any) -> Ledger:
    """Open a ledger."""
    return Ledger(redis, owner="a")


async def write(redis: Any, plan: RunPlan) -> Ledger:
    """Write a run and open it."""
    ledger = ledger_on(redis)
    await ledger.write_plan(plan)
    await ledger.accept(plan.run_id)
    return ledger


async def do(ledger: Ledger, run_id: str, step: str, *, made_from: str = "h") -> None:
    """Claim a step and store a document for it."""
    claim = await ledger.claim(run_id, step, made_from=made_from)
    assert claim.verdict == "granted", (step, claim.verdict)
    usage = CallUsage(made=2, retried=1, prompt_tokens=90, completion_tokens=10, seconds=0.5)
    await ledger.store(claim, StoredDocument(made_from=made_from, document={}, usage=usage))


@pytest.mark.anyio
class BacklogContract:
    """Give a `redis` fixture, inherit the tests."""

    async def test_a_run_counts_until_its_steps_have_settled(self, redis: Any) -> None:
        plan, book = plan_of("r"), BacklogBook(redis)
        assert plan.calls == CALLS
        ledger = await write(redis, plan)
        assert await book.look() == Backlog(interactive=CALLS)
        left = CALLS
        for row in plan.steps:
            await do(ledger, "r", row.id)
            left -= row.calls
            assert (await book.look()).total == left
        assert left == 0
        assert await redis.hlen(keys.LOAD) == 0

    async def test_a_failure_takes_the_calls_along_that_will_not_be_made(self, redis: Any) -> None:
        ledger, book = await write(redis, plan_of("r", personas=2)), BacklogBook(redis)
        claim = await ledger.claim("r", "p0.core", made_from="h")
        await ledger.fail(claim, "no")
        assert (await book.look()).total == CALLS

    async def test_a_cancelled_run_does_not_count_and_a_retried_one_does_again(
        self, redis: Any
    ) -> None:
        ledger, book = await write(redis, plan_of("r")), BacklogBook(redis)
        await do(ledger, "r", "p0.core")
        await ledger.cancel("r")
        assert (await book.look()).total == 0
        await ledger.reopen(await RunReader(redis).snapshot("r"))
        assert (await book.look()).total == CALLS - 1

    async def test_a_done_step_that_is_made_due_again_counts_again(self, redis: Any) -> None:
        ledger, book = await write(redis, plan_of("r")), BacklogBook(redis)
        await do(ledger, "r", "p0.core")
        await ledger.reopen(await RunReader(redis).snapshot("r"), ["p0.core"])
        assert (await book.look()).total == CALLS
        await do(ledger, "r", "p0.core", made_from="other")
        assert (await book.look()).total == CALLS - 1

    async def test_a_run_is_refused_when_too_much_is_before_it_and_leaves_nothing(
        self, redis: Any
    ) -> None:
        book = BacklogBook(redis)
        await write(redis, plan_of("first", personas=3))
        before = sorted(await redis.keys("*"))
        admitted, seen = await book.admit(plan_of("second"), most=3 * CALLS)
        assert (admitted, seen.total) == (False, 3 * CALLS)
        assert sorted(await redis.keys("*")) == before
        assert await redis.hkeys(keys.LOAD) == ["first"]
        admitted, _ = await book.admit(plan_of("second"), most=3 * CALLS + 1)
        assert admitted

    async def test_an_idle_cluster_takes_a_run_of_any_size(self, redis: Any) -> None:
        admitted, _ = await BacklogBook(redis).admit(plan_of("large", personas=50), most=1)
        assert admitted

    async def test_of_many_who_submit_at_once_only_as_many_get_in_as_fit(self, redis: Any) -> None:
        plans = [plan_of(f"r{n}") for n in range(20)]
        books = [BacklogBook(redis) for _ in range(4)]
        answers = await asyncio.gather(
            *(books[n % 4].admit(plan, most=2 * CALLS) for n, plan in enumerate(plans))
        )
        assert [admitted for admitted, _ in answers].count(True) == 2

    async def test_who_has_been_admitted_stays_so(self, redis: Any) -> None:
        book = BacklogBook(redis)
        await book.admit(plan_of("small"), most=CALLS + 1)
        assert (await book.admit(plan_of("large", personas=9), most=CALLS + 1))[0]
        assert (await book.admit(plan_of("small"), most=CALLS + 1))[0]

    async def test_batch_runs_are_not_before_interactive_ones(self, redis: Any) -> None:
        book = BacklogBook(redis)
        await write(redis, plan_of("night", personas=5, priority="batch"))
        assert await book.look() == Backlog(batch=5 * CALLS)
        assert not (await book.admit(plan_of("b", priority="batch"), most=CALLS))[0]
        assert (await book.admit(plan_of("i"), most=CALLS))[0]

    async def test_a_reservation_without_rows_is_forgotten(
        self, redis: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(backlog, "UNWRITTEN_MS", 500)
        book = BacklogBook(redis)
        await book.admit(plan_of("gone"), most=99)
        assert (await book.look()).total == CALLS
        await asyncio.sleep(0.6)
        assert (await book.look()).total == 0
        await ledger_on(redis).write_plan(plan_of("gone"))
        await ledger_on(redis).accept("gone")  # its submitter was only slow
        assert (await book.look()).total == CALLS

    async def test_a_run_that_calls_no_model_is_never_refused(self, redis: Any) -> None:
        book = BacklogBook(redis)
        await write(redis, plan_of("r", personas=3))
        drawing = RunPlan(run_id="d", request=Request(sources=(Source(label="x"),)), steps=())
        assert (await book.admit(drawing, most=1))[0]
        assert await redis.hkeys(keys.LOAD) == ["r"]

    async def test_the_pace_is_what_finished_calls_took(self, redis: Any) -> None:
        book = BacklogBook(redis)
        assert await book.pace() == USUAL
        ledger = await write(redis, plan_of("r"))
        assert await book.pace() == USUAL
        await do(ledger, "r", "p0.core")
        pace = await book.pace()
        assert (pace.seconds_a_call, pace.tokens_a_call) == (0.5, 100)
