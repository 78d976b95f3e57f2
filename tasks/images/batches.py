"""How many pictures go into one call: as many as fit, found out by halving.

It knows nothing of models: `draw` draws a batch and raises PictureMemoryError, `free` frees.
"""

import logging
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from tasks.images.faults import PictureMemoryError

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Picture = TypeVar("Picture")

LONE_TRIES = 2


class FittingBatches:
    """Draws in batches that fit, and remembers for each kind of picture how many that were.

    `largest` is a limit from the start, None for none. A limit once learned stays for the life
    of the process: memory that another process took for a moment keeps the batches small until
    the worker is replaced.
    """

    def __init__(self, *, free: Callable[[], None], largest: int | None = None) -> None:
        self._free = free
        self._largest = largest
        self._limits: dict[Hashable, int] = {}

    def draw(
        self,
        items: Sequence[Item],
        draw: Callable[[Sequence[Item]], list[Picture]],
        *,
        kind: Hashable,
    ) -> list[Picture]:
        """Draw all items in order, halving the batch each time that memory runs out.

        Raises PictureMemoryError when a single picture did not fit twice in a row; what was
        finished before it is lost with it.
        """
        pictures: list[Picture] = []
        lone_failures = 0
        while len(pictures) < len(items):
            left = items[len(pictures) :]
            batch = left[: self._limits.get(kind, self._largest)]
            # The faults are kept out of scope while freeing: their tracebacks hold the tensors.
            fitted = self._attempt(batch, draw, last=lone_failures == LONE_TRIES - 1)
            if fitted is None:
                lone_failures += len(batch) == 1
                self._shrink(kind, len(batch))
            else:
                lone_failures = 0
                pictures += fitted
        return pictures

    def _attempt(
        self, batch: Sequence[Item], draw: Callable[[Sequence[Item]], list[Picture]], *, last: bool
    ) -> list[Picture] | None:
        try:
            return draw(batch)
        except PictureMemoryError:
            if last:
                raise
            return None

    def _shrink(self, kind: Hashable, size: int) -> None:
        smaller = max(1, size // 2)
        log.warning("Out of memory with %d pictures at once; trying %d.", size, smaller)
        self._limits[kind] = smaller
        self._free()
