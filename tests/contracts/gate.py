"""What the gate must do; run in memory as a unit test and on Valkey as an integration test."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from tasks.errors import ConfigurationError, ProviderOpenError
from tasks.gate.gate import Gate
from tasks.gate.rules import Question, Return, Rules, Wish
from tasks.schemas.limits import Granted, Limits, Wait


def gate_on(rules: Rules, *, lease_s: float = 30.0, **limits: Any) -> Gate:
    """Open a gate with one provider `p`."""
    return Gate(rules, {"p": Limits(**limits)}, lease_s=lease_s)


async def in_use(gate: Gate) -> int:
    """Count the slots that are held."""
    return (await gate.state("p")).slots_in_use


@pytest.mark.anyio
class GateContract:
    """Give a `rules` fixture, inherit the tests."""

    async def test_no_more_slots_are_held_than_there_are(self, rules: Rules) -> None:
        gate = gate_on(rules, slots=3)
        held, most = 0, 0

        async def call() -> None:
            nonlocal held, most
            granted = await gate.acquire("p")
            held += 1
            most = max(most, held)
            await asyncio.sleep(0.01)
            held -= 1
            await gate.settle(granted)

        await asyncio.gather(*(call() for _ in range(20)))
        assert most == 3
        assert await in_use(gate) == 0
        await gate.close()

    async def test_a_run_keeps_within_its_own_cap_and_leaves_the_rest_to_others(
        self, rules: Rules
    ) -> None:
        gate = gate_on(rules, slots=3)
        assert isinstance(await gate.try_acquire("p", run_id="a", run_slots=1), Granted)
        refused = await gate.try_acquire("p", run_id="a", run_slots=1)
        assert isinstance(refused, Wait)
        assert refused.reason == "run slots"
        assert isinstance(await gate.try_acquire("p", run_id="b"), Granted)
        await gate.close()

    async def test_the_slot_of_a_holder_that_stopped_renewing_returns(self, rules: Rules) -> None:
        dead = gate_on(rules, slots=1, lease_s=0.6)
        assert isinstance(await dead.try_acquire("p"), Granted)
        await dead.close()
        gate = gate_on(rules, slots=1)
        assert isinstance(await gate.try_acquire("p"), Wait)
        await asyncio.wait_for(gate.acquire("p"), 5)
        await gate.close()

    async def test_what_was_settled_is_returned_although_the_gate_is_closed_at_once(
        self, rules: Rules
    ) -> None:
        gate, other = gate_on(rules, slots=3), gate_on(rules, slots=3)
        held = [await gate.acquire("p") for _ in range(3)]
        waiting = asyncio.create_task(gate.acquire("p"))
        await asyncio.sleep(0.05)
        for granted in held:
            gate.settle(granted)
        await gate.close()
        assert await in_use(other) == 0 + (waiting.done() and not waiting.cancelled())
        await asyncio.wait([waiting])
        await other.close()

    async def test_a_live_holder_keeps_its_slot_past_the_lease(self, rules: Rules) -> None:
        gate = gate_on(rules, slots=1, lease_s=0.6)
        await gate.acquire("p")
        await asyncio.sleep(1.2)
        assert isinstance(await gate.try_acquire("p"), Wait)
        await gate.close()

    async def test_requests_are_paced_and_a_minute_never_holds_more_than_the_limit(
        self, rules: Rules
    ) -> None:
        gate = gate_on(rules, rpm=600, slots=1000)
        begun = time.monotonic()
        granted = 0
        while time.monotonic() - begun < 1.0:
            answer = await gate.try_acquire("p")
            if isinstance(answer, Granted):
                granted += 1
            else:
                await asyncio.sleep(answer.seconds)
        elapsed = time.monotonic() - begun
        burst, rate = 5, (600 - 5) / 60
        assert granted <= burst + rate * elapsed + 1
        assert granted >= burst
        await gate.close()

    async def test_the_state_says_what_the_last_minute_has_taken(self, rules: Rules) -> None:
        gate = gate_on(rules, rpm=600, tpm=60_000, slots=5)
        first = await gate.acquire("p", tokens=300)
        await gate.acquire("p", tokens=100)
        await gate.settle(first, used_tokens=20)
        state = await gate.state("p")
        assert (state.requests_in_minute, state.tokens_in_minute) == (2, 120)
        await gate.change("p", rpm=0, tpm=0)
        state = await gate.state("p")
        assert (state.requests_in_minute, state.tokens_in_minute) == (None, None)
        await gate.close()

    async def test_a_refused_call_takes_neither_tokens_nor_requests_nor_a_slot(
        self, rules: Rules
    ) -> None:
        gate = gate_on(rules, rpm=60, tpm=6000, slots=5)
        assert isinstance(await gate.try_acquire("p", tokens=90), Granted)
        first = await gate.try_acquire("p", tokens=90)
        again = await gate.try_acquire("p", tokens=90)
        assert isinstance(first, Wait)
        assert isinstance(again, Wait)
        assert again.seconds <= first.seconds
        assert await in_use(gate) == 1
        await gate.close()

    async def test_tokens_that_were_not_used_are_given_back(self, rules: Rules) -> None:
        gate = gate_on(rules, tpm=6000, slots=5)
        granted = await gate.acquire("p", tokens=100)
        refused = await gate.try_acquire("p", tokens=100)
        assert isinstance(refused, Wait)
        assert refused.reason == "tokens"
        await gate.settle(granted, used_tokens=0)
        assert isinstance(await gate.try_acquire("p", tokens=100), Granted)
        await gate.close()

    async def test_a_block_stops_every_process_until_it_ends(self, rules: Rules) -> None:
        await gate_on(rules).block("p", 0.6)
        other = gate_on(rules)
        refused = await other.try_acquire("p")
        assert isinstance(refused, Wait)
        assert refused.reason == "blocked"
        await asyncio.wait_for(other.acquire("p"), 5)
        await other.close()

    async def test_who_cannot_wait_for_the_end_of_a_block_is_turned_away_at_once(
        self, rules: Rules
    ) -> None:
        gate = gate_on(rules)
        await gate.block("p", 60)
        patient = asyncio.create_task(gate.acquire("p"))
        await asyncio.sleep(0.05)
        async with asyncio.timeout(3):
            for _ in range(2):
                with pytest.raises(ProviderOpenError, match="wants no calls") as caught:
                    await gate.acquire("p", patience_s=30)
        assert 50 < caught.value.wait_s <= 60
        assert gate.waiting("p") == 1
        await gate.close()
        with pytest.raises(asyncio.CancelledError):
            await patient

    async def test_a_block_lasts_a_day_at_most_and_a_reset_ends_it(self, rules: Rules) -> None:
        gate = gate_on(rules)
        await gate.block("p", 1e300)
        assert 86_000 < (await gate.state("p")).blocked_s <= 86_400
        await gate.change("p", slots=9)
        assert isinstance(await gate.try_acquire("p"), Wait)
        await gate.change("p")
        assert isinstance(await gate.try_acquire("p"), Granted)
        await gate.close()

    async def test_a_question_that_arrives_twice_changes_nothing_the_second_time(
        self, rules: Rules
    ) -> None:
        limits = Limits(rpm=600, tpm=60_000, slots=3)
        call = Granted(provider="p", lease="l", run_id="r", run_slots=2, tokens=100)
        asked = Question(
            provider="p", limits=limits, lease_s=30, run_id="r", run_slots=2, wishes=[Wish(call)]
        )
        answers = [await rules.exchange(asked) for _ in range(2)]
        assert [answer.granted for answer in answers] == [1, 1]
        state = await rules.state("p", limits)
        assert state is not None
        assert (state.slots_in_use, state.requests_in_minute, state.tokens_in_minute) == (1, 1, 100)
        granted = replace(call, tick=answers[0].tick)
        returned = asked._replace(wishes=(), returns=[Return(granted, used=10, sent=False)])
        for _ in range(2):
            await rules.exchange(returned)
        state = await rules.state("p", limits)
        assert state is not None
        assert (state.slots_in_use, state.requests_in_minute, state.tokens_in_minute) == (0, 0, 10)

    async def test_an_unknown_provider_is_refused_by_name(self, rules: Rules) -> None:
        with pytest.raises(ConfigurationError, match="'q'"):
            await gate_on(rules).acquire("q")

    async def test_a_freed_slot_goes_to_the_first_in_line_in_the_same_question(
        self, rules: Rules
    ) -> None:
        gate = gate_on(rules, slots=1)
        first = await gate.acquire("p")
        order: list[str] = []

        async def caller(name: str, rank: int) -> None:
            granted = await gate.acquire("p", rank=rank)
            order.append(name)
            await gate.settle(granted)

        waiting = [asyncio.create_task(caller("low", 1)), asyncio.create_task(caller("high", 0))]
        await asyncio.sleep(0.02)
        assert gate.waiting("p") == 2
        await gate.settle(first)
        await asyncio.gather(*waiting)
        assert order == ["high", "low"]
        assert await in_use(gate) == 0
        await gate.close()

    async def test_a_caller_that_gives_up_leaves_no_slot_behind(self, rules: Rules) -> None:
        gate = gate_on(rules, slots=1)
        first = await gate.acquire("p")
        gone = asyncio.create_task(gate.acquire("p"))
        stays = asyncio.create_task(gate.acquire("p"))
        await asyncio.sleep(0.02)
        gone.cancel()
        gate.settle(first)
        gone_too = asyncio.create_task(gate.acquire("p"))  # cancelled while Redis is asked
        await asyncio.sleep(0)
        gone_too.cancel()
        await gate.settle(await asyncio.wait_for(stays, 5))
        assert await in_use(gate) == 0
        await gate.close()

    async def test_lines_of_capped_runs_hear_of_slots_that_others_free(self, rules: Rules) -> None:
        gate = gate_on(rules, slots=2)
        held = [await gate.acquire("p"), await gate.acquire("p", run_id="a", run_slots=2)]
        waiting = asyncio.create_task(gate.acquire("p", run_id="b", run_slots=1))
        await asyncio.sleep(0.02)
        await gate.settle(held[0])
        granted = await asyncio.wait_for(waiting, 5)
        await asyncio.gather(gate.settle(granted), gate.settle(held[1]))
        assert await in_use(gate) == 0
        assert isinstance(await gate.try_acquire("p", run_id="b", run_slots=1), Granted)
        await gate.close()

    async def test_the_breaker_opens_after_failures_in_a_row_and_turns_callers_away(
        self, rules: Rules
    ) -> None:
        gate = gate_on(rules, slots=1, breaker_failures=3, breaker_open_s=60)
        for ending in ("down", "down", "ok", "down", "down"):
            await gate.settle(await gate.acquire("p"), ending=ending)
        assert (await gate.state("p")).breaker == "closed"
        last = await gate.acquire("p")
        waiting = [asyncio.create_task(gate.acquire("p")) for _ in range(3)]
        await asyncio.sleep(0.02)
        await gate.settle(last, ending="down")
        turned_away = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(error) for error in turned_away] == [ProviderOpenError] * 3
        state = await gate.state("p")
        assert (state.breaker, state.failures, state.slots_in_use) == ("open", 3, 0)
        other = gate_on(rules, slots=1)
        refused = await other.try_acquire("p")
        assert isinstance(refused, Wait)
        assert refused.reason == "open"
        assert 50 < refused.seconds <= 60
        await gate.close()

    async def test_an_open_breaker_lets_one_probe_through_in_the_whole_cluster(
        self, rules: Rules
    ) -> None:
        gates = [gate_on(rules, breaker_failures=1, breaker_open_s=0.4) for _ in range(3)]
        await gates[0].settle(await gates[0].acquire("p"), ending="down")
        await asyncio.sleep(0.5)
        assert (await gates[0].state("p")).breaker == "half-open"
        answers = await asyncio.gather(*(gate.try_acquire("p") for gate in gates for _ in range(4)))
        probes = [answer for answer in answers if isinstance(answer, Granted)]
        assert len(probes) == 1
        await gates[1].settle(probes[0], ending="down")
        assert isinstance(await gates[2].try_acquire("p"), Wait)
        await asyncio.sleep(0.5)
        again = await gates[2].try_acquire("p")
        assert isinstance(again, Granted)
        await gates[2].settle(again, ending="ok")
        assert (await gates[0].state("p")).breaker == "closed"
        both = await asyncio.gather(*(gate.try_acquire("p") for gate in gates))
        assert all(isinstance(answer, Granted) for answer in both)
        for gate in gates:
            await gate.close()

    async def test_a_probe_whose_holder_died_makes_room_for_another(self, rules: Rules) -> None:
        dead = gate_on(rules, lease_s=0.6, breaker_failures=1, breaker_open_s=0.05)
        await dead.settle(await dead.acquire("p"), ending="down")
        await asyncio.sleep(0.1)
        assert isinstance(await dead.try_acquire("p"), Granted)
        await dead.close()
        gate = gate_on(rules, breaker_failures=1)
        assert isinstance(await gate.try_acquire("p"), Wait)
        await asyncio.sleep(0.7)
        assert isinstance(await gate.try_acquire("p"), Granted)
        await gate.close()

    async def test_a_refused_key_leaves_the_breaker_alone(self, rules: Rules) -> None:
        gate = gate_on(rules, breaker_failures=1)
        await gate.settle(await gate.acquire("p"), ending="other")
        assert (await gate.state("p")).breaker == "closed"
        await gate.close()

    async def test_a_burst_of_429s_shrinks_the_slots_once_and_successes_grow_them_back(
        self, rules: Rules
    ) -> None:
        gate = gate_on(rules, slots=8)
        burst = [await gate.acquire("p") for _ in range(8)]
        await asyncio.gather(*(gate.settle(granted, ending="limited") for granted in burst))
        assert (await gate.state("p")).slots_now == 6
        held = [await gate.try_acquire("p") for _ in range(8)]
        assert sum(isinstance(answer, Granted) for answer in held) == 6
        for answer in held:
            if isinstance(answer, Granted):
                await gate.settle(answer)
        for _ in range(50):
            await gate.settle(await gate.acquire("p"), ending="ok")
        assert (await gate.state("p")).slots_now == 8
        await gate.close()

    async def test_limits_change_for_every_process_at_once_and_back(self, rules: Rules) -> None:
        gate, other = gate_on(rules, slots=1), gate_on(rules, slots=1)
        first = await gate.acquire("p")
        await other.change("p", slots=2, rpm=None)
        assert (await gate.state("p")).slots == 2
        second = await gate.try_acquire("p")
        assert isinstance(second, Granted)
        await other.change("p")
        await asyncio.gather(gate.settle(first), gate.settle(second))
        assert (await gate.state("p")).changed is False
        assert isinstance(await gate.try_acquire("p"), Granted)
        assert isinstance(await gate.try_acquire("p"), Wait)
        await gate.close()

    async def test_a_few_callers_of_another_process_do_not_wait_behind_many(
        self, rules: Rules
    ) -> None:
        many, few = gate_on(rules, slots=2), gate_on(rules, slots=2)
        served: list[str] = []
        ten = asyncio.Event()

        async def call(gate: Gate, name: str) -> None:
            granted = await gate.acquire("p", run_id=name)
            await asyncio.sleep(0.002)
            served.append(name)
            if len(served) == 10:
                ten.set()
            await gate.settle(granted)

        calls = [asyncio.create_task(call(many, "many")) for _ in range(200)]
        await ten.wait()
        began = len(served)
        calls += [asyncio.create_task(call(few, "few")) for _ in range(5)]
        await asyncio.gather(*calls)
        last = len(served) - served[::-1].index("few")
        assert last - began <= 30
        await asyncio.gather(many.close(), few.close())

    async def test_an_interactive_caller_goes_before_a_batch_of_another_process(
        self, rules: Rules
    ) -> None:
        batch, hasty = gate_on(rules, slots=1), gate_on(rules, slots=1)
        order: list[str] = []
        first = await batch.acquire("p", rank=2)

        async def call(gate: Gate, name: str, rank: int) -> None:
            granted = await gate.acquire("p", rank=rank)
            order.append(name)
            await gate.settle(granted)

        calls = [asyncio.create_task(call(batch, "batch", 2)) for _ in range(3)]
        await asyncio.sleep(0.02)
        calls.append(asyncio.create_task(call(hasty, "hasty", 0)))
        await asyncio.sleep(0.5)
        batch.settle(first)
        await asyncio.gather(*calls)
        assert order == ["hasty", "batch", "batch", "batch"]
        await asyncio.gather(batch.close(), hasty.close())

    async def test_a_line_whose_process_died_holds_nobody_up_for_long(self, rules: Rules) -> None:
        dead, gate = gate_on(rules, slots=1), gate_on(rules, slots=1)
        held = await gate.acquire("p", rank=2)
        waiting = asyncio.create_task(dead.acquire("p", rank=0))
        await asyncio.sleep(0.05)
        await dead.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await gate.settle(held)
        await gate.settle(await asyncio.wait_for(gate.acquire("p", rank=2), 5))
        await gate.close()

    async def test_closing_cancels_whoever_waits(self, rules: Rules) -> None:
        gate = gate_on(rules, slots=1)
        await gate.acquire("p")
        waiting = asyncio.create_task(gate.acquire("p"))
        await asyncio.sleep(0.02)
        await gate.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert gate.waiting("p") == 0

    async def test_a_caller_that_gave_up_is_no_longer_counted(self, rules: Rules) -> None:
        gate = gate_on(rules, slots=1)
        await gate.acquire("p")
        gone = asyncio.create_task(gate.acquire("p"))
        await asyncio.sleep(0.02)
        assert gate.waiting("p") == 1
        gone.cancel()
        await asyncio.sleep(0)
        assert gate.waiting("p") == 0
        await gate.close()

    async def test_a_call_that_never_left_gives_its_request_and_its_tokens_back(
        self, rules: Rules
    ) -> None:
        gate = gate_on(rules, rpm=60, tpm=600, slots=5)
        for _ in range(3):
            granted = await gate.try_acquire("p", tokens=300)
            assert isinstance(granted, Granted)
            await gate.settle(granted, used_tokens=0, sent=False)
        granted = await gate.try_acquire("p", tokens=300)
        assert isinstance(granted, Granted)
        await gate.settle(granted, used_tokens=0, ending="limited")
        refused = await gate.try_acquire("p", tokens=300)
        assert isinstance(refused, Wait)
        assert refused.reason == "requests"
        await gate.close()

    async def test_a_holder_whose_lease_expired_changes_nothing_any_more(
        self, rules: Rules
    ) -> None:
        late = gate_on(rules, slots=1, tpm=6000, lease_s=0.1)
        lost = await late.try_acquire("p", tokens=50)
        assert isinstance(lost, Granted)
        await late.close()
        await asyncio.sleep(0.15)
        gate = gate_on(rules, slots=1, tpm=6000)
        held = await gate.acquire("p", tokens=1)
        await rules.renew("p", "", 30, [lost.lease])
        await gate.settle(lost, used_tokens=100_000, ending="down")
        state = await gate.state("p")
        assert (state.slots_in_use, state.failures) == (1, 0)
        await gate.settle(held)
        assert isinstance(await gate.try_acquire("p", tokens=1), Granted)
        await gate.close()

    async def test_a_minute_never_holds_more_tokens_than_the_limit_however_large_the_calls(
        self, rules: Rules
    ) -> None:
        gate = gate_on(rules, tpm=6000, slots=100)
        first = await gate.try_acquire("p", tokens=4000)
        assert isinstance(first, Granted)
        refused = await gate.try_acquire("p", tokens=4000)
        assert isinstance(refused, Wait)
        assert refused.reason == "tokens"
        assert refused.seconds > 55
        await gate.close()
