"""Batches: results in order, errors in their places, items taken only as they fit."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import BadInputError, CastlineError, ClientClosedError, RefusedCallError
from tasks.llm.arguments import Question
from tasks.llm.bulk import in_order, in_order_async
from tasks.llm.client import LLMClient
from tests.calls import simulated_server

CONTEXT = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def client(no_settings: None) -> Iterator[LLMClient]:
    """Open a client of a simulated provider."""
    with (
        simulated_server() as base_url,
        LLMClient(base_url=base_url, model="m", workers=8) as opened,
    ):
        yield opened


def test_a_batch_answers_each_kind_of_item_in_its_place(client: LLMClient) -> None:
    items = ["One", CONTEXT, Question(prompt="Two", max_tokens=5), "One"]
    one, hello, two, again = client.batch(items)
    assert one == again == client.chat("One")
    assert hello == client.chat("Hello")
    assert two == client.chat("Two", max_tokens=5)
    assert asyncio.run(client.batch_async(items)) == [one, hello, two, again]


def test_a_bad_item_is_an_error_in_its_place_and_the_others_are_answered(
    client: LLMClient,
) -> None:
    items = ["One", "", Question(prompt="x", temperature=9), [{"role": "elf"}], "Two"]
    for results in (client.batch(items), asyncio.run(client.batch_async(items))):
        assert [isinstance(result, BadInputError) for result in results] == [0, 1, 1, 1, 0]


def test_a_refused_call_is_an_error_in_its_place(no_settings: None) -> None:
    with (
        simulated_server(api_key="right") as base_url,
        LLMClient(base_url=base_url, model="m", api_key="wrong") as client,
    ):
        results = client.batch(["One", "Two"])
    assert [type(result) for result in results] == [RefusedCallError] * 2


def test_a_wrong_number_for_the_whole_batch_is_refused_before_anything_is_taken(
    client: LLMClient,
) -> None:
    items = iter(["One"])
    for wrong in ({"temperature": 3}, {"batch_size": 0}, {"max_in_flight": 0}):
        with pytest.raises(BadInputError, match=next(iter(wrong))):
            client.batch(items, **wrong)  # type: ignore[arg-type]
    assert next(items) == "One"


def test_items_are_taken_as_they_fit_whether_they_come_from_a_generator_or_not(
    client: LLMClient,
) -> None:
    async def prompts() -> AsyncIterator[str]:
        for number in range(20):
            yield f"Question {number}"

    wanted = client.batch(f"Question {number}" for number in range(20))
    assert asyncio.run(client.batch_async(prompts(), batch_size=3, max_in_flight=2)) == wanted
    assert client.batch([]) == []
    assert client.status()["calls_made"] == 40


def test_an_error_of_the_source_ends_the_batch(client: LLMClient) -> None:
    def broken() -> Iterator[str]:
        yield "One"
        raise ValueError("the file ends here")

    with pytest.raises(ValueError, match="ends here"):
        client.batch(broken())
    with pytest.raises(ValueError, match="ends here"):
        asyncio.run(client.batch_async(broken()))
    assert client.chat("still open")


def test_a_closed_client_answers_no_batch(client: LLMClient) -> None:
    client.close()
    assert [type(result) for result in client.batch(["One"])] == [ClientClosedError]


@given(st.lists(st.booleans(), max_size=12), st.integers(1, 5), st.data())
def test_whatever_ends_first_the_results_are_in_order_and_never_too_many_are_taken(
    fails: list[bool], at_once: int, data: st.DataObject
) -> None:
    unfinished: dict[int, Future[int]] = {}
    begun: list[int] = []

    def end(number: int) -> None:
        future = unfinished.pop(number)
        if fails[number]:
            future.set_exception(CastlineError(str(number)))
        else:
            future.set_result(number)

    def source() -> Iterator[int]:
        for number in range(len(fails)):
            assert len(unfinished) < at_once
            yield number
        for number in list(unfinished):
            end(number)

    def start(number: int) -> Future[int]:
        begun.append(number)
        future = unfinished[number] = Future()
        if len(unfinished) == at_once:
            end(data.draw(st.sampled_from(sorted(unfinished))))
        return future

    results = in_order(source(), start, at_once=at_once)
    assert begun == list(range(len(fails)))
    assert [isinstance(result, CastlineError) for result in results] == fails
    assert [int(str(result)) for result in results] == begun


@pytest.mark.anyio
async def test_no_more_are_under_way_than_may_be_and_the_order_is_the_items() -> None:
    under_way, most = 0, 0

    async def work(number: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(number % 3 + 1):
            await asyncio.sleep(0)
        under_way -= 1
        return number

    assert await in_order_async(range(20), work, at_once=4) == list(range(20))
    assert 1 < most <= 4
