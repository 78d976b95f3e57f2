"""Wakes those who follow runs: one blocking read for all streams of an instance, however many.

It says only that there is news; what it is, each follower reads from where it stands, so nothing is
lost or told twice.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping

from redis.exceptions import RedisError

WAIT_S, PAUSE_S = 0.25, 1.0

Newer = Callable[..., Awaitable[Mapping[str, str]]]


class Bells:
    """The bells of one loop; `newer` waits for news of some runs (`RunReader.newer`)."""

    def __init__(self, newer: Newer) -> None:
        self._newer = newer
        self._seen: dict[str, str] = {}
        self._bells: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._wanted = asyncio.Event()
        self.closed = False

    @contextlib.contextmanager
    def listen(self, run_id: str, after: str) -> Iterator[asyncio.Event]:
        """Yield a bell that rings when there is news of a run, or when the instance ends."""
        bell = asyncio.Event()
        self._bells[run_id].add(bell)
        self._seen.setdefault(run_id, after)
        self._wanted.set()
        try:
            yield bell
        finally:
            self._bells[run_id].discard(bell)
            if not self._bells[run_id]:
                del self._bells[run_id], self._seen[run_id]

    async def ring(self) -> None:
        """Ring for ever; an instance has one task that does."""
        while not self.closed:
            if not self._seen:
                self._wanted.clear()
                await self._wanted.wait()
                continue
            try:
                news = await self._newer(dict(self._seen), block_s=WAIT_S)
            except (RedisError, OSError):
                self.ring_all()  # each follower sees for itself that Redis is away
                await asyncio.sleep(PAUSE_S)
                continue
            for run_id, last in news.items():
                if run_id in self._seen:
                    self._seen[run_id] = last
                    for bell in self._bells[run_id]:
                        bell.set()

    def ring_all(self) -> None:
        """Ring every bell."""
        for bells in self._bells.values():
            for bell in bells:
                bell.set()

    def close(self) -> None:
        """Tell all followers to end: the instance stops."""
        self.closed = True
        self._wanted.set()
        self.ring_all()
