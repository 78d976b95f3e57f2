"""What any ledger must do; run on fakeredis as a unit test and on Valkey as an integration test."""

import asyncio
from typing import Any

import pytest

from tasks.errors import BadInputError, StaleLeaseError
from tasks.schemas.calls import CallUsage
from tasks.schemas.ledger import Reopened, StoredDocument
from tasks.schemas.plan import Request, RunPlan, Source, StepRow
from tasks.store import keys
from tasks.store.departed import end_leases
from tasks.store.ledger import Ledger
from tasks.store.reader import RunReader
from tasks.store.rows import unsuccessful

RUN = "r1"


def rows() -> tuple[StepRow, ...]:
    """One character: two stages, two tweets, a collect, a picture of the first tweet."""
    return (
        StepRow(id="p0.core", kind="stage", item="p0", persona=0),
        StepRow(id="p0.assemble", kind="stage", item="p0", persona=0, needs=("p0.core",)),
        StepRow(id="p0.t01", kind="tweet", item="p0.t01", persona=0, needs=("p0.assemble",)),
        StepRow(id="p0.t02", kind="tweet", item="p0.t02", persona=0, needs=("p0.assemble",)),
        StepRow(id="p0.collect", kind="collect", item="p0", persona=0, needs=("p0.t01", "p0.t02")),
        StepRow(id="p0.i01", kind="picture", item="p0.i01", persona=0, needs=("p0.t01",)),
    )


def plan() -> RunPlan:
    """Build the plan of the run that every test here uses."""
    return RunPlan(run_id=RUN, request=Request(sources=(Source(label="x"),)), steps=rows())


def document(made_from: str = "h") -> StoredDocument:
    """Build a small document."""
    return StoredDocument(
        made_from=made_from, document={"text": "hello"}, usage=CallUsage(made=1, prompt_tokens=9)
    )


def ledger_on(
    redis: Any,
    *,
    owner: str = "a",
    lease_s: float = 30.0,
    crashes: int = 3,
    picture_crashes: int = 3,
) -> Ledger:
    """Open a ledger on this client."""
    return Ledger(
        redis,
        owner=owner,
        lease_s=lease_s,
        crashes=crashes,
        picture_crashes=picture_crashes,
        resend_s=1.0,
    )


async def begun(redis: Any, **options: Any) -> Ledger:
    """Open a ledger with the run written and accepted."""
    ledger = ledger_on(redis, **options)
    await ledger.write_plan(plan())
    await ledger.accept(RUN)
    return ledger


async def do(ledger: Ledger, step: str, *, made_from: str = "h") -> None:
    """Claim a step and store its document."""
    claim = await ledger.claim(RUN, step, made_from=made_from)
    assert claim.verdict == "granted", (step, claim.verdict)
    await ledger.store(claim, document(made_from))


def ask_everything_twice(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each script run twice, as when its answer was lost; the second one answers."""
    ask = ledger._scripts.call

    async def twice(*given: Any, **named: Any) -> Any:
        await ask(*given, **named)
        return await ask(*given, **named)

    monkeypatch.setattr(ledger._scripts, "call", twice)


async def without_end(redis: Any) -> list[str]:
    """List the keys of runs that do not expire."""
    return [k for k in await redis.keys(f"{keys.PREFIX}:run:*") if await redis.ttl(k) < 0]


async def states(redis: Any) -> dict[str, str]:
    """Read all states."""
    return dict((await RunReader(redis).snapshot(RUN)).states)


@pytest.mark.anyio
class LedgerContract:
    """Give a `redis` fixture, inherit the tests."""

    async def test_only_steps_that_need_nothing_are_due_when_a_run_is_accepted(
        self, redis: Any
    ) -> None:
        ledger = ledger_on(redis)
        await ledger.write_plan(plan())
        assert await redis.zrange(keys.DUE, 0, -1) == []
        assert await ledger.accept(RUN) == ["p0.core"]
        assert await redis.zrange(keys.DUE, 0, -1) == [f"{RUN} p0.core"]

    async def test_a_step_is_granted_once_and_leased_for_everybody_else(self, redis: Any) -> None:
        ledger = await begun(redis)
        claims = await asyncio.gather(*(ledger.claim(RUN, "p0.core") for _ in range(8)))
        assert sorted(c.verdict for c in claims) == ["granted"] + ["leased"] * 7

    async def test_a_claim_whose_answer_was_lost_is_granted_when_it_is_asked_again(
        self, redis: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ledger = await begun(redis)
        ask_everything_twice(ledger, monkeypatch)
        claim = await ledger.claim(RUN, "p0.core")
        assert (claim.verdict, claim.attempt) == ("granted", 1)
        assert (await ledger.claim(RUN, "p0.core")).verdict == "leased"
        monkeypatch.undo()
        await ledger.store(claim, document())

    async def test_an_outcome_whose_answer_was_lost_counts_once_when_it_is_told_again(
        self, redis: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ledger, reader = await begun(redis), RunReader(redis)
        ask_everything_twice(ledger, monkeypatch)
        claim = await ledger.claim(RUN, "p0.core")
        await ledger.postpone(claim, delay_s=0, free=True, usage=document().usage)
        await do(ledger, "p0.core")
        await ledger.fail(await ledger.claim(RUN, "p0.assemble"), "no", document().usage)
        counted = (await reader.snapshot(RUN)).counters
        assert (counted["calls_made"], counted["tokens_prompt"]) == (3, 27)
        claim = await ledger.claim(RUN, "p0.core")
        assert (claim.verdict, claim.document) == ("document", document())

    async def test_a_step_whose_needs_are_open_cannot_be_claimed(self, redis: Any) -> None:
        ledger = await begun(redis)
        assert (await ledger.claim(RUN, "p0.t01")).verdict == "early"
        assert (await ledger.claim(RUN, "p0.nonsense")).verdict == "unknown"

    async def test_a_stored_document_answers_later_claims_and_opens_what_follows(
        self, redis: Any
    ) -> None:
        ledger = await begun(redis)
        await do(ledger, "p0.core")
        again = await ledger.claim(RUN, "p0.core", made_from="h")
        assert again.verdict == "document"
        assert again.document is not None
        assert again.document.document == {"text": "hello"}
        assert f"{RUN} p0.assemble" in await redis.zrange(keys.DUE, 0, -1)
        assert f"{RUN} p0.core" not in await redis.zrange(keys.DUE, 0, -1)

    async def test_a_step_that_is_done_stays_done_whatever_it_would_be_made_from_now(
        self, redis: Any
    ) -> None:
        ledger = await begun(redis)
        await do(ledger, "p0.core")
        assert (await ledger.claim(RUN, "p0.core", made_from="other")).verdict == "document"

    async def test_a_step_made_due_again_is_done_anew_unless_it_is_made_from_the_same(
        self, redis: Any
    ) -> None:
        ledger, reader = await begun(redis), RunReader(redis)
        await self.finish(ledger)
        first, again = ("p0.core", "p0.assemble"), ["p0.core", "p0.assemble"]
        reopened = await ledger.reopen(await reader.snapshot(RUN), again)
        assert reopened == Reopened(steps=2, due=("p0.core",))
        assert await reader.documents(RUN, first) == {}
        assert (await ledger.claim(RUN, "p0.assemble", made_from="h")).verdict == "early"
        changed = await ledger.claim(RUN, "p0.core", made_from="other")
        assert changed.verdict == "granted"
        await ledger.store(changed, document("other"))
        kept = await ledger.claim(RUN, "p0.assemble", made_from="h")
        assert kept.verdict == "kept"
        assert kept.document == document("h")
        found = await reader.all_documents(RUN)
        assert {step: found[step].made_from for step in first} == {
            "p0.core": "other",
            "p0.assemble": "h",
        }
        assert set(found) == {row.id for row in rows()}
        assert (await reader.snapshot(RUN)).state == "finished"

    async def test_a_run_that_was_retried_meanwhile_is_not_retried_by_an_older_look(
        self, redis: Any
    ) -> None:
        ledger, reader = await begun(redis), RunReader(redis)
        await self.finish(ledger)
        seen = await reader.snapshot(RUN)
        assert await ledger.reopen(seen, ["p0.i01"]) is not None
        await self.let_time_pass(redis, 0.01)
        await do(ledger, "p0.i01", made_from="again")
        assert (await reader.snapshot(RUN)).state == "finished"
        assert await ledger.reopen(seen, ["p0.i01"]) is None
        assert (await states(redis))["p0.i01"] == "done"

    async def test_a_lease_that_ran_out_passes_on_and_its_old_holder_cannot_store(
        self, redis: Any
    ) -> None:
        slow = await begun(redis, lease_s=0.2)
        old = await slow.claim(RUN, "p0.core")
        await self.let_time_pass(redis, 0.25)
        quick = ledger_on(redis, owner="b")
        new = await quick.claim(RUN, "p0.core")
        assert new.verdict == "granted"
        assert new.fence > old.fence
        with pytest.raises(StaleLeaseError):
            await slow.store(old, document())
        await quick.store(new, document())
        assert (await states(redis))["p0.core"] == "done"

    async def test_what_a_stale_holder_paid_is_counted_all_the_same(self, redis: Any) -> None:
        slow = await begun(redis, lease_s=0.2)
        old = await slow.claim(RUN, "p0.core")
        await self.let_time_pass(redis, 0.25)
        await ledger_on(redis, owner="b").claim(RUN, "p0.core")
        with pytest.raises(StaleLeaseError):
            await slow.store(old, document())
        with pytest.raises(StaleLeaseError):
            await slow.postpone(old, delay_s=0, usage=document().usage)
        snapshot = await RunReader(redis).snapshot(RUN)
        assert snapshot.counters["calls_made"] == 2
        assert snapshot.counters["tokens_prompt"] == 18

    async def test_renewal_keeps_a_lease_and_tells_which_are_lost(self, redis: Any) -> None:
        ledger = await begun(redis)
        claim, lease = await ledger.claim(RUN, "p0.core"), keys.RunKeys(RUN).lease
        _, till, _ = (await redis.hget(lease, "p0.core")).split(" ", 2)
        await self.let_time_pass(redis, 0.02)
        assert await ledger.renew(RUN, {"p0.core": claim.fence}) == set()
        _, renewed, _ = (await redis.hget(lease, "p0.core")).split(" ", 2)
        assert int(renewed) >= int(till) + 20
        assert int(renewed) == await redis.zscore(keys.DUE, f"{RUN} p0.core")
        assert (await ledger.claim(RUN, "p0.core")).verdict == "leased"
        assert await ledger.renew(RUN, {"p0.core": claim.fence + 1}) == {"p0.core"}

    async def test_a_step_whose_worker_died_too_often_is_quarantined_with_what_needs_it(
        self, redis: Any
    ) -> None:
        ledger = await begun(redis, lease_s=0.2)
        for _ in range(3):
            claim = await ledger.claim(RUN, "p0.core")
            assert (claim.verdict, claim.attempt) == ("granted", 1)  # a crash is no attempt
            await self.let_time_pass(redis, 0.25)
        assert (await ledger.claim(RUN, "p0.core")).verdict == "settled"
        found = await states(redis)
        assert found["p0.core"] == "quarantined"
        assert found["p0.t01"] == "failed"

    async def test_a_crash_counts_once_whoever_sees_it_and_sooner_for_a_picture(
        self, redis: Any
    ) -> None:
        ledger = await begun(redis, crashes=4, picture_crashes=2, lease_s=0.2)
        for step in ("p0.core", "p0.assemble", "p0.t01"):
            await do(ledger, step)
        for sweep in ("send", "gone"):
            for step in ("p0.i01", "p0.t02"):
                assert (await ledger.claim(RUN, step)).verdict == "granted"
            await self.let_time_pass(redis, 0.25)
            assert await ledger.overdue(RUN, "p0.i01", length=0) == sweep
            assert await ledger.overdue(RUN, "p0.t02", length=0) == "send"
        found = await states(redis)
        assert (found["p0.i01"], found["p0.t02"]) == ("quarantined", "waiting")

    async def test_a_quarantined_step_is_due_again_with_what_needs_it_and_nothing_else(
        self, redis: Any
    ) -> None:
        ledger = await begun(redis, crashes=1, lease_s=0.2)
        await do(ledger, "p0.core")
        await do(ledger, "p0.assemble")
        await ledger.fail(await ledger.claim(RUN, "p0.t02"), "refused")
        await self.quarantine(redis, ledger, "p0.t01")
        assert await redis.zrange(keys.QUARANTINED, 0, -1) == [f"{RUN} p0.t01"]
        snapshot = await RunReader(redis).snapshot(RUN)
        reopened = await ledger.reopen(snapshot, unsuccessful(snapshot, ["p0.t01"]))
        assert reopened == Reopened(steps=2, due=("p0.t01",))
        assert (await ledger.claim(RUN, "p0.collect")).verdict == "early"
        found = await states(redis)
        assert (found["p0.t01"], found["p0.i01"], found["p0.t02"]) == (
            "waiting",
            "waiting",
            "failed",
        )
        assert await redis.zcard(keys.QUARANTINED) == 0
        await do(ledger, "p0.t01")
        assert (await ledger.claim(RUN, "p0.collect")).verdict == "granted"

    async def test_a_quarantined_step_that_is_dropped_has_failed_and_keeps_its_error(
        self, redis: Any
    ) -> None:
        ledger = await begun(redis, crashes=1, lease_s=0.2)
        await self.quarantine(redis, ledger, "p0.core")
        assert await ledger.drop(RUN, "p0.core")
        assert not await ledger.drop(RUN, "p0.core")
        snapshot = await RunReader(redis).snapshot(RUN)
        assert snapshot.states["p0.core"] == "failed"
        assert "died or froze" in snapshot.errors["p0.core"]

    async def quarantine(self, redis: Any, ledger: Ledger, step: str) -> None:
        """Claim a step once too often."""
        assert (await ledger.claim(RUN, step)).verdict == "granted"
        await self.let_time_pass(redis, 0.25)
        assert (await ledger.claim(RUN, step)).verdict == "settled"
        assert (await states(redis))[step] == "quarantined"

    async def test_a_failed_stage_fails_what_needs_it_and_ends_the_run(self, redis: Any) -> None:
        ledger = await begun(redis)
        claim = await ledger.claim(RUN, "p0.core")
        await ledger.fail(claim, "the reply was not JSON")
        snapshot = await RunReader(redis).snapshot(RUN)
        assert snapshot.states["p0.core"] == "failed"
        assert snapshot.states["p0.assemble"] == "failed"
        assert snapshot.states["p0.i01"] == "failed"
        assert snapshot.errors["p0.core"] == "the reply was not JSON"

    async def test_a_failed_tweet_fails_its_picture_and_never_the_collect(self, redis: Any) -> None:
        ledger = await begun(redis)
        await do(ledger, "p0.core")
        await do(ledger, "p0.assemble")
        claim = await ledger.claim(RUN, "p0.t01")
        await ledger.fail(claim, "no")
        await do(ledger, "p0.t02")
        found = await states(redis)
        assert (found["p0.i01"], found["p0.collect"]) == ("failed", "waiting")
        await do(ledger, "p0.collect")
        assert (await RunReader(redis).snapshot(RUN)).state == "finished"

    async def test_a_run_is_finished_when_its_last_step_settles(self, redis: Any) -> None:
        ledger = await begun(redis)
        for step in ("p0.core", "p0.assemble", "p0.t01", "p0.t02", "p0.collect"):
            await do(ledger, step)
        assert (await RunReader(redis).snapshot(RUN)).state == "running"
        await do(ledger, "p0.i01")
        snapshot = await RunReader(redis).snapshot(RUN)
        assert snapshot.state == "finished"
        assert snapshot.finished_ms is not None
        assert await redis.zcard(keys.DUE) == 0

    async def test_a_postponed_step_waits_and_can_be_claimed_again(self, redis: Any) -> None:
        ledger = await begun(redis)
        claim = await ledger.claim(RUN, "p0.core")
        await ledger.postpone(
            claim, delay_s=0.1, error="gate closed", free=True, usage=document().usage
        )
        snapshot = await RunReader(redis).snapshot(RUN)
        assert (snapshot.states["p0.core"], snapshot.counters["calls_made"]) == ("waiting", 1)
        again = await ledger.claim(RUN, "p0.core")
        assert (again.verdict, again.attempt) == ("granted", 1)

    async def test_a_run_that_is_cancelled_whole_says_that_it_has_ended_last(
        self, redis: Any
    ) -> None:
        ledger, reader = await begun(redis), RunReader(redis)
        assert await ledger.cancel(RUN) == len(rows())
        told = [(event.step, event.state) for event in await reader.events_after(RUN, "0-0")]
        assert [state for step, state in told if not step] == ["running", "cancelled", "finished"]
        assert told[-1] == ("", "finished")

    async def test_a_run_that_waits_to_be_opened_ends_when_it_is_cancelled(
        self, redis: Any
    ) -> None:
        ledger, reader = ledger_on(redis), RunReader(redis)
        await ledger.write_plan(plan())
        await ledger.submissions.let_wait(RUN)
        assert await ledger.cancel(RUN) == len(rows())
        assert (await reader.snapshot(RUN)).state == "finished"
        assert await ledger.submissions.open_waiting(RUN) == []
        assert await redis.zrange(keys.DUE, 0, -1) == []

    async def test_events_are_read_on_from_any_of_them_to_the_end(self, redis: Any) -> None:
        ledger, reader = await begun(redis), RunReader(redis)
        assert not await reader.ended(RUN, "0-0")
        await ledger.cancel(RUN)
        ids = [event.id for event in await reader.events_after(RUN, "0-0")]
        for place, event_id in enumerate(ids, 1):
            assert [e.id for e in await reader.events_after(RUN, event_id)] == ids[place:]
            assert await reader.ended(RUN, event_id) == (place == len(ids))
        assert await reader.newer({RUN: ids[0], "other": "0-0"}, block_s=0.01) == {RUN: ids[-1]}
        assert await reader.newer({RUN: ids[-1]}, block_s=0.01) == {}
        assert await reader.ended("other", "0-0")

    async def test_cancelling_settles_what_waits_and_lets_what_runs_store(self, redis: Any) -> None:
        ledger = await begun(redis)
        claim = await ledger.claim(RUN, "p0.core")
        assert await ledger.cancel(RUN) == 5
        await ledger.store(claim, document())
        snapshot = await RunReader(redis).snapshot(RUN)
        assert snapshot.states["p0.core"] == "done"
        assert snapshot.states["p0.i01"] == "cancelled"
        assert snapshot.state == "finished"
        with pytest.raises(BadInputError, match="no run 'nope'"):
            await ledger.cancel("nope")

    async def test_cancelling_one_kind_leaves_the_rest_to_go_on(self, redis: Any) -> None:
        ledger = await begun(redis)
        for step in ("p0.core", "p0.assemble"):
            await do(ledger, step)
        claim = await ledger.claim(RUN, "p0.t01")
        assert await ledger.cancel(RUN, only="tweet") == 1
        found = await states(redis)
        assert (found["p0.t01"], found["p0.t02"], found["p0.i01"]) == (
            "running",
            "cancelled",
            "waiting",
        )
        await ledger.store(claim, document())
        assert (await ledger.claim(RUN, "p0.i01")).verdict == "granted"

    async def test_a_retry_reopens_what_failed_and_nothing_else(self, redis: Any) -> None:
        ledger = await begun(redis)
        await do(ledger, "p0.core")
        await do(ledger, "p0.assemble")
        await do(ledger, "p0.t02")
        await ledger.fail(await ledger.claim(RUN, "p0.t01"), "no")
        await do(ledger, "p0.collect")
        reader = RunReader(redis)
        reopened = await ledger.reopen(await reader.snapshot(RUN))
        assert reopened == Reopened(steps=3, due=("p0.t01",))
        waiting = {step for step, state in (await states(redis)).items() if state == "waiting"}
        assert waiting == {"p0.collect", "p0.i01", "p0.t01"}
        assert (await reader.snapshot(RUN)).state == "running"
        assert (await ledger.claim(RUN, "p0.collect")).verdict == "early"
        for step in ("p0.t01", "p0.i01", "p0.collect"):
            await do(ledger, step, made_from="again")
        assert (await reader.snapshot(RUN)).state == "finished"

    async def test_held_characters_are_released_one_by_one_as_others_are_assembled_or_fail(
        self, redis: Any
    ) -> None:
        ledger = ledger_on(redis)
        rows = tuple(
            StepRow(id=f"p{i}.{part}", kind="stage", item=f"p{i}", persona=i, needs=needs)
            for i in range(3)
            for part, needs in (("core", ()), ("assemble", (f"p{i}.core",)))
        )
        three = RunPlan(run_id=RUN, request=plan().request, steps=rows)
        await ledger.write_plan(three, window=1)
        assert await ledger.accept(RUN) == ["p0.core"]
        await do(ledger, "p0.core")
        released = await ledger.store(await ledger.claim(RUN, "p0.assemble"), document())
        assert released == ["p1.core"]
        released = await ledger.fail(await ledger.claim(RUN, "p1.core"), "no")
        assert released == ["p2.core"]
        assert f"{RUN} p2.core" in await redis.zrange(keys.DUE, 0, -1)

    async def test_a_held_character_with_a_card_is_released_when_anothers_tweets_have_ended(
        self, redis: Any
    ) -> None:
        ledger = ledger_on(redis)
        rows = tuple(
            StepRow(id=f"p{i}.{part}", kind=kind, item=f"p{i}", persona=i, needs=needs)
            for i in range(3)
            for part, kind, needs in (
                ("calendar", "calendar", ()),
                ("t01", "tweet", (f"p{i}.calendar",)),
                ("collect", "collect", (f"p{i}.t01",)),
            )
        )
        three = RunPlan(run_id=RUN, request=plan().request, steps=rows)
        await ledger.write_plan(three, window=1)
        assert await ledger.accept(RUN) == ["p0.calendar"]
        await do(ledger, "p0.calendar")
        assert await ledger.store(await ledger.claim(RUN, "p0.t01"), document()) == []
        released = await ledger.store(await ledger.claim(RUN, "p0.collect"), document())
        assert released == ["p1.calendar"]
        await ledger.fail(await ledger.claim(RUN, "p1.calendar"), "no")
        released = await ledger.store(await ledger.claim(RUN, "p1.collect"), document())
        assert released == ["p2.calendar"]

    async def test_what_a_departed_holder_leased_is_due_at_once_and_fenced_off_when_it_is_taken(
        self, redis: Any
    ) -> None:
        gone = await begun(redis, owner="gone")
        for step in ("p0.core", "p0.assemble"):
            await do(gone, step)
        held = await gone.claim(RUN, "p0.t01")
        other = await ledger_on(redis, owner="other").claim(RUN, "p0.t02")
        assert await end_leases(gone, "nobody") == {}
        assert await end_leases(gone, gone.holder) == {RUN: 1}
        assert await end_leases(gone, gone.holder) == {}
        due = await redis.zrangebyscore(keys.DUE, "-inf", await gone.now_ms())
        assert due == [f"{RUN} p0.t01"]
        assert await gone.overdue(RUN, "p0.t01", length=9) == "send"
        taken = await ledger_on(redis, owner="other").claim(RUN, "p0.t01")
        assert taken.fence > held.fence
        with pytest.raises(StaleLeaseError):
            await gone.store(held, document())
        await gone.store(other, document())

    async def test_a_message_under_way_is_left_alone_and_a_lost_one_is_sent_again(
        self, redis: Any
    ) -> None:
        ledger = await begun(redis)
        assert await ledger.overdue(RUN, "p0.core", queue="llm.x", length=7) == "wait"
        assert await ledger.overdue(RUN, "p0.core", queue="llm.x", length=0) == "send"

    async def test_a_queued_message_counts_as_lost_once_later_ones_were_consumed(
        self, redis: Any
    ) -> None:
        ledger = await begun(redis)
        later = await ledger.now_ms() + 60_000
        await redis.hset(keys.CONSUMED, "llm.x", later)
        assert await ledger.overdue(RUN, "p0.core", queue="llm.x", length=7) == "send"

    async def test_a_message_that_was_left_in_its_queue_is_asked_after_once_it_cannot_be_there(
        self, redis: Any
    ) -> None:
        ledger, core = await begun(redis), f"{RUN} p0.core"
        assert await ledger.passed_over({"llm.x": 0}, most=9) == []
        assert await ledger.overdue(RUN, "p0.core", queue="llm.x", length=7) == "wait"
        assert await redis.zscore(keys.DUE, core) > await ledger.now_ms() + 4000  # of 5 graces
        assert await ledger.passed_over({"llm.x": 1, "llm.y": 0}, most=9) == []
        assert await ledger.passed_over({"llm.x": 0, "llm.y": 1}, most=9) == [core]
        await redis.hset(keys.CONSUMED, "llm.x", await ledger.now_ms() + 60_000)
        assert await ledger.passed_over({"llm.x": 1, "llm.y": 1}, most=9) == [core]
        assert (await ledger.claim(RUN, "p0.core", queue="llm.x")).verdict == "granted"
        assert await ledger.passed_over({"llm.x": 0}, most=9) == []

    async def test_a_live_lease_is_never_overdue(self, redis: Any) -> None:
        ledger = await begun(redis)
        await ledger.claim(RUN, "p0.core")
        assert await ledger.overdue(RUN, "p0.core", queue="llm.x", length=0) == "wait"

    async def test_a_picture_goes_to_the_live_queue_with_the_smallest_backlog(
        self, redis: Any
    ) -> None:
        ledger = await begun(redis)
        assert await ledger.place(RUN, "p0.i01") == ("", False)
        now = await ledger.now_ms()
        await redis.zadd(
            keys.GPUS, {"gpu.a.0": now + 9000, "gpu.a.1": now + 9000, "gpu.dead.0": now - 1}
        )
        await redis.zadd(keys.gpu_steps("gpu.a.0"), {"r0 p0.i09": 1})
        assert await ledger.place(RUN, "p0.i01") == ("gpu.a.1", True)
        assert await ledger.place(RUN, "p0.i01", queue="gpu.a.0") == ("gpu.a.0", True)
        assert await ledger.place(RUN, "p0.i01") == ("gpu.a.0", False)
        assert await redis.zcard(keys.gpu_steps("gpu.a.1")) == 0

    async def test_two_characters_of_a_run_never_share_a_name(self, redis: Any) -> None:
        ledger = await begun(redis)
        assert await ledger.take_name(RUN, "Mara Lind", 0)
        assert not await ledger.take_name(RUN, "mara  lind", 1)
        assert await ledger.take_name(RUN, "Mara Lind", 0)
        assert await ledger.taken_names(RUN) == {0: "Mara Lind"}

    async def test_every_change_is_an_event_and_reading_resumes_after_any_of_them(
        self, redis: Any
    ) -> None:
        ledger = await begun(redis)
        await do(ledger, "p0.core")
        seen = []
        async for event in RunReader(redis).events(RUN, "0-0", block_s=0.01):
            if event is None:
                break
            seen.append(event)
        assert [(e.step, e.state) for e in seen] == [
            ("", "running"),
            ("p0.core", "running"),
            ("p0.core", "done"),
        ]
        async for event in RunReader(redis).events(RUN, seen[0].id, block_s=0.01):
            assert event == seen[1]
            break

    async def test_every_key_of_a_run_expires(self, redis: Any) -> None:
        ledger = await begun(redis)
        await do(ledger, "p0.core")
        await ledger.take_name(RUN, "Mara Lind", 0)
        assert await without_end(redis) == []

    async def test_what_a_run_leaves_expires_whatever_became_of_its_last_step(
        self, redis: Any
    ) -> None:
        ledger = await begun(redis, lease_s=0.2, crashes=1, picture_crashes=1)
        await ledger.postpone(await ledger.claim(RUN, "p0.core"), delay_s=0, error="once")
        assert await without_end(redis) == []
        for step in ("p0.core", "p0.assemble", "p0.t01", "p0.t02", "p0.collect"):
            await do(ledger, step)
        await redis.delete(keys.RunKeys(RUN).errors)
        await redis.zadd(keys.GPUS, {"gpu.a.0": await ledger.now_ms() + 9000})
        await ledger.place(RUN, "p0.i01")
        await ledger.claim(RUN, "p0.i01")
        await self.let_time_pass(redis, 0.25)
        assert await ledger.overdue(RUN, "p0.i01", length=0) == "gone"
        assert (await states(redis))["p0.i01"] == "quarantined"
        assert await without_end(redis) == []

    async def test_a_name_that_is_given_back_may_be_taken_by_another_character(
        self, redis: Any
    ) -> None:
        ledger = await begun(redis)
        assert await ledger.take_name(RUN, "Mara Lind", 1)
        assert await ledger.take_name(RUN, "Ada Berg", 11)
        await ledger.give_names_back(RUN, 1)
        assert await ledger.taken_names(RUN) == {11: "Ada Berg"}

    async def finish(self, ledger: Ledger) -> None:
        """Do every step of the run."""
        for row in rows():
            await do(ledger, row.id)

    async def let_time_pass(self, redis: Any, seconds: float) -> None:
        """Let Redis time go on; the ledger reads no other clock."""
        await asyncio.sleep(seconds)
