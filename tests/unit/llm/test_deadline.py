"""A logical call has one deadline over all that it does."""

import asyncio
import email.utils
import time

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from tasks.errors import DeadlineError, RateLimitedError
from tasks.llm.deadline import Deadline
from tests.calls import caller_of, provider_at, simulated

pytestmark = pytest.mark.anyio
PATH = "/v1/chat/completions"
ANSWER = {"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]}


async def test_a_provider_that_hangs_ends_at_the_deadline_and_the_slot_returns() -> None:
    async with simulated(faults="hang=1") as caller:
        with pytest.raises(DeadlineError, match=r"within 0\.2 s \(it was sent once\)") as caught:
            await caller.complete(deadline=Deadline(0.2))
        assert caught.value.attempts == 1
        assert await caller.slots_in_use() == 0


async def test_waiting_for_a_slot_counts_and_says_that_nothing_was_sent() -> None:
    async with simulated() as caller:
        held = [await caller.gate.acquire("p") for _ in range(4)]
        with pytest.raises(DeadlineError, match="never sent") as caught:
            await caller.complete(deadline=Deadline(0.1))
        assert caught.value.attempts == 0
        for granted in held:
            await caller.gate.settle(granted)
        assert await caller.slots_in_use() == 0


async def test_attempts_and_pauses_end_at_the_deadline() -> None:
    async with simulated(faults="5xx=1") as caller:
        deadline = Deadline(0.0)
        with pytest.raises(DeadlineError):
            await caller.complete(deadline=deadline)
        assert deadline.attempts < 6


async def test_the_completers_own_deadline_holds_for_calls_that_bring_none() -> None:
    async with simulated(faults="hang=1") as caller:
        own = provider_at(caller.completer.provider.base_url)
        async with caller_of(own, call_deadline_s=0.1) as quick:
            with pytest.raises(DeadlineError, match=r"within 0\.1 s"):
                await quick.complete()


async def test_a_cancelled_call_is_cancelled_and_no_deadline_error() -> None:
    async with simulated(faults="hang=1") as caller:
        call = asyncio.create_task(caller.complete(deadline=Deadline(60)))
        while (await caller.gate.state("p")).slots_in_use == 0:  # noqa: ASYNC110 the grant is in the gate
            await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await caller.slots_in_use() == 0


def http_date(*, in_s: float) -> str:
    """An HTTP date so many seconds from now."""
    return email.utils.formatdate(time.time() + in_s, usegmt=True)


@pytest.mark.parametrize("after", ["3600", http_date(in_s=3600)], ids=["seconds", "date"])
async def test_a_retry_after_beyond_the_deadline_fails_at_once(
    httpserver: HTTPServer, after: str
) -> None:
    refusal = Response(status=429, headers={"Retry-After": after})
    httpserver.expect_request(PATH).respond_with_response(refusal)
    async with caller_of(provider_at(httpserver.url_for("/v1"))) as caller:
        with pytest.raises(RateLimitedError) as caught:
            await asyncio.wait_for(caller.complete(deadline=Deadline(60)), 30)
        assert caught.value.wait_s == pytest.approx(3600, abs=60)
        assert len(httpserver.log) == 1


@pytest.mark.parametrize("after", ["0", http_date(in_s=-10)], ids=["seconds", "date"])
async def test_a_retry_after_that_is_over_is_tried_again_at_once(
    httpserver: HTTPServer, after: str
) -> None:
    refusal = Response(status=429, headers={"Retry-After": after})
    httpserver.expect_ordered_request(PATH).respond_with_response(refusal)
    httpserver.expect_ordered_request(PATH).respond_with_json(ANSWER)
    async with caller_of(provider_at(httpserver.url_for("/v1"))) as caller:
        assert await caller.complete(deadline=Deadline(60)) == "yes"
    assert len(httpserver.log) == 2
