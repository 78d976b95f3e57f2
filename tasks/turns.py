"""Lets the coroutines of one loop do their heavy parts one at a time, with I/O in between.

A hundred answers that arrive together would otherwise be read, checked and stored in one go, while
the slots that they freed stay empty.
"""

import asyncio
from collections import deque


class Turns:
    """A queue in which one caller goes on per round of the loop; for one loop."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._calling = False

    async def mine(self) -> None:
        """Wait for my turn, in order of arrival."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        if not self._calling:
            self._calling = True
            loop.call_soon(self._call_next)
        await turn

    def _call_next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # cancelled
                turn.set_result(None)
                asyncio.get_running_loop().call_soon(self._call_next)
                return
        self._calling = False
