"""The small tools around awaitables."""

import asyncio
import contextvars
from typing import Any

import pytest

from tasks.errors import BadInputError, ConfigurationError, RefusedCallError
from tasks.llm.async_tools import AsyncBatchProcessor, AsyncConfig, AsyncHelper
from tasks.llm.client import LLMClient
from tests.calls import simulated_server


async def double(number: int) -> int:
    """Return it twice."""
    await asyncio.sleep(0)
    return number * 2


@pytest.mark.anyio
async def test_what_takes_too_long_is_cancelled_and_a_timeout() -> None:
    cancelled = asyncio.Event()

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(asyncio.TimeoutError):
        await AsyncHelper.run_with_timeout(never(), timeout=0.01)
    assert cancelled.is_set()
    assert await AsyncHelper.run_with_timeout(double(2), timeout=5) == 4


def test_a_call_that_times_out_gives_its_place_back(no_settings: None) -> None:
    async def call(client: LLMClient) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await AsyncHelper.run_with_timeout(client.chat_async("Hello"), timeout=0.05)
        while client.status()["in_flight"]:  # noqa: ASYNC110 the place is on another loop
            await asyncio.sleep(0)

    with (
        simulated_server(faults="hang=1") as base_url,
        LLMClient(base_url=base_url, model="m", workers=1) as client,
    ):
        asyncio.run(call(client))


@pytest.mark.anyio
async def test_no_more_are_awaited_at_once_than_the_limit_and_results_are_in_order() -> None:
    now, most = 0, 0

    async def work(number: int) -> int:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return number

    coroutines = [work(number) for number in range(9)]
    assert await AsyncHelper.gather_with_limit(coroutines, limit=3) == list(range(9))
    assert most == 3
    with pytest.raises(BadInputError, match="limit"):
        await AsyncHelper.gather_with_limit([], limit=0)


@pytest.mark.anyio
async def test_the_first_error_ends_a_gathering_and_what_never_began_is_closed() -> None:
    async def fail() -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await AsyncHelper.gather_with_limit([double(1), fail(), double(3)], limit=1)
    results = await AsyncHelper.gather_with_limit(
        [double(1), fail(), double(3)], limit=1, return_exceptions=True
    )
    assert [results[0], type(results[1]), results[2]] == [2, ValueError, 6]


def test_sync_code_waits_for_a_coroutine_with_and_without_a_running_loop() -> None:
    async def inside() -> int:
        return AsyncHelper.run_async_in_sync(double(3))

    assert AsyncHelper.run_async_in_sync(double(2)) == 4
    assert asyncio.run(inside()) == 6


def test_an_error_passes_through_and_so_does_the_context() -> None:
    user = contextvars.ContextVar("user", default="nobody")

    async def fail() -> None:
        raise RefusedCallError(user.get(), status=400)

    async def inside() -> None:
        user.set("ada")
        AsyncHelper.run_async_in_sync(fail())

    with pytest.raises(RefusedCallError, match="ada"):
        asyncio.run(inside())


def test_a_task_of_another_loop_is_refused() -> None:
    async def inside() -> None:
        task = asyncio.create_task(double(1))
        try:
            with pytest.raises(BadInputError, match="own loop"):
                AsyncHelper.run_async_in_sync(task)
        finally:
            await task

    asyncio.run(inside())


def test_a_client_may_be_called_through_it_from_anywhere(no_settings: None) -> None:
    with simulated_server() as base_url, LLMClient(base_url=base_url, model="m") as client:

        async def inside() -> str:
            return AsyncHelper.run_async_in_sync(client.chat_async("Hello"))

        assert asyncio.run(inside()) == AsyncHelper.run_async_in_sync(client.chat_async("Hello"))


@pytest.mark.anyio
async def test_a_processor_keeps_order_and_puts_errors_in_their_places() -> None:
    now, most = 0, 0

    async def work(number: int) -> int:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        if number == 4:
            raise ValueError("no")
        return number

    processor: AsyncBatchProcessor[int, int] = AsyncBatchProcessor(
        process_func=work, batch_size=10, max_workers=3
    )
    results: list[Any] = await processor.process_batch(range(12))
    assert isinstance(results.pop(4), ValueError)
    assert results == [n for n in range(12) if n != 4]
    assert most == 3
    with pytest.raises(BadInputError, match="max_workers"):
        AsyncBatchProcessor(double, max_workers=0)


def test_the_configuration_is_that_of_the_moment(
    no_settings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert AsyncConfig.get_worker_count() == 5
    assert AsyncConfig.get_queue_size() == 100
    assert AsyncConfig.get_timeout() == 30.0
    assert AsyncConfig.is_async_enabled()
    monkeypatch.setenv("LLM_ASYNC_WORKERS", "9")
    monkeypatch.setenv("LLM_ASYNC_ENABLED", "0")
    assert AsyncConfig.get_worker_count() == 9
    assert not AsyncConfig.is_async_enabled()
    monkeypatch.setenv("LLM_ASYNC_TIMEOUT", "soon")
    with pytest.raises(ConfigurationError, match="LLM_ASYNC_TIMEOUT"):
        AsyncConfig.get_timeout()
