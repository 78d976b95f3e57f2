"""Each class of failure has its own number of attempts and its own pauses."""

import pytest
from tenacity import AsyncRetrying

from tasks.errors import CastlineError, ProviderDownError, RateLimitedError, RefusedCallError
from tasks.llm.retrying import RetryPolicy

NETWORK = ProviderDownError("timeout")
SERVER = ProviderDownError("503", status=503)
RATE = RateLimitedError("429")


async def attempts_and_pauses(*errors: CastlineError) -> tuple[int, list[float]]:
    """Raise these errors in turn, then the last for ever; count attempts, note the pauses."""
    policy, pauses, attempts = RetryPolicy(), [], 0

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    retrying = AsyncRetrying(retry=policy.wants, wait=policy.pause_s, sleep=sleep, reraise=True)

    async def fail() -> None:
        nonlocal attempts
        attempts += 1
        raise errors[min(attempts, len(errors)) - 1]

    with pytest.raises(CastlineError):
        await retrying(fail)
    return attempts, pauses


@pytest.mark.anyio
async def test_a_network_error_is_tried_again_three_times_with_doubling_pauses() -> None:
    assert await attempts_and_pauses(NETWORK) == (4, [1.0, 2.0, 4.0])


@pytest.mark.anyio
async def test_a_server_error_is_tried_again_five_times_after_a_second_each() -> None:
    assert await attempts_and_pauses(SERVER) == (6, [1.0] * 5)


@pytest.mark.anyio
async def test_a_429_is_tried_again_ten_times_with_growing_pauses() -> None:
    assert await attempts_and_pauses(RATE) == (11, [float(n) for n in range(1, 11)])


@pytest.mark.anyio
async def test_a_cap_holds_over_all_classes_together() -> None:
    policy = RetryPolicy(scale=0, most=2)
    attempts = 0

    async def fail() -> None:
        nonlocal attempts
        attempts += 1
        raise ProviderDownError("x", status=503 if attempts % 2 else None)

    retrying = AsyncRetrying(retry=policy.wants, wait=policy.pause_s, reraise=True)
    with pytest.raises(ProviderDownError):
        await retrying(fail)
    assert attempts == 3


@pytest.mark.anyio
async def test_retry_after_sets_the_pause() -> None:
    attempts, pauses = await attempts_and_pauses(RateLimitedError("429", wait_s=7.5), SERVER)
    assert pauses[0] == 7.5
    assert attempts == 7


@pytest.mark.anyio
async def test_a_retry_after_that_is_over_is_believed_once() -> None:
    attempts, pauses = await attempts_and_pauses(RateLimitedError("429", wait_s=0.0))
    assert (attempts, pauses) == (11, [float(n) for n in range(10)])


@pytest.mark.anyio
async def test_a_refused_call_is_never_tried_again() -> None:
    assert await attempts_and_pauses(RefusedCallError("401", status=401)) == (1, [])


@pytest.mark.anyio
async def test_the_classes_count_each_for_itself() -> None:
    assert (await attempts_and_pauses(NETWORK, RATE, SERVER, NETWORK, RATE, SERVER))[0] == 10
