"""Cuts what is more than a provider takes at once, and puts the results together again."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from tasks.errors import BadReplyError

Item = TypeVar("Item")
Result = TypeVar("Result")


def chunks_of(items: Sequence[Item], most: int) -> Iterator[Sequence[Item]]:
    """Cut items into chunks of at most `most` (from 1), in order; nothing gives no chunk."""
    if most < 1:
        raise ValueError(f"a chunk holds at least 1 item, not {most}")
    return (items[at : at + most] for at in range(0, len(items), most))


async def in_chunks(
    items: Sequence[Item],
    most: int,
    send: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
) -> list[Result]:
    """Send items chunk after chunk; the results come in the items' order.

    Raises what `send` raises, and BadReplyError when a chunk has not one result for each item.
    """
    merged: list[Result] = []
    for chunk in chunks_of(items, most):
        results = await send(chunk)
        if len(results) != len(chunk):
            raise BadReplyError(f"{len(chunk)} were asked together, {len(results)} answered")
        merged.extend(results)
    return merged
