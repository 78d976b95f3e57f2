"""More than a provider takes at once is cut, and put together again."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import BadReplyError
from tasks.llm.batches import chunks_of, in_chunks


@given(items=st.lists(st.integers()), most=st.integers(min_value=1, max_value=20))
def test_chunks_hold_everything_in_order_and_never_too_much(items: list[int], most: int) -> None:
    chunks = list(chunks_of(items, most))
    assert [item for chunk in chunks for item in chunk] == items
    assert all(1 <= len(chunk) <= most for chunk in chunks)
    assert len(chunks) == -(-len(items) // most)


def test_a_chunk_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        chunks_of([1], 0)


@pytest.mark.anyio
async def test_results_come_in_the_order_of_the_items() -> None:
    sizes: list[int] = []

    async def doubled(chunk: Sequence[int]) -> list[int]:
        sizes.append(len(chunk))
        return [2 * item for item in chunk]

    assert await in_chunks(range(7), 3, doubled) == [0, 2, 4, 6, 8, 10, 12]
    assert sizes == [3, 3, 1]


@pytest.mark.anyio
async def test_a_chunk_with_too_few_results_is_never_merged() -> None:
    async def forgetful(chunk: Sequence[int]) -> Sequence[int]:
        return chunk[1:]

    with pytest.raises(BadReplyError, match="3 were asked together, 2 answered"):
        await in_chunks(range(7), 3, forgetful)
