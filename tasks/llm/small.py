"""Answers small questions: gathered, asked together, each alone where that fails.

Who goes with whom is `microbatch.py`'s, how the questions are put `combined.py`'s business.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from tasks.errors import BadReplyError, CastlineError, DeadlineError, RefusedCallError
from tasks.llm.combined import Small, alone, together, told_apart
from tasks.llm.fallbacks import is_about_key
from tasks.llm.microbatch import MicroBatcher
from tasks.llm.providers import Provider
from tasks.schemas.completion import ChatRequest, Completion

Complete = Callable[[ChatRequest], Awaitable[Completion]]


class SmallTalk:
    """Small questions of one client, on its loop; `complete` makes a call."""

    def __init__(
        self,
        provider: Provider,
        complete: Complete,
        *,
        size: int,
        wait_s: float,
        max_waiting: int,
        in_flight: int,
    ) -> None:
        self._provider = provider
        self._complete = complete
        self._micro: MicroBatcher[Small, str] = MicroBatcher(
            self._answers,
            size=size,
            deadline_s=wait_s,
            max_waiting=max_waiting,
            in_flight=in_flight,
        )

    @property
    def waiting(self) -> int:
        """How many questions wait for their batch to begin."""
        return self._micro.waiting

    async def ask(self, small: Small, *, priority: int, timeout_s: float) -> str:
        """Answer a question within `timeout_s`, together with others.

        Raises QueueFullError, DeadlineError and what its call raises.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await self._micro.ask(small, priority=priority)
        except TimeoutError:
            raise DeadlineError(
                f"the small question got no answer within {timeout_s:g} s", attempts=0
            ) from None

    async def close(self) -> None:
        """Answer what still waits."""
        await self._micro.close()

    async def _answers(self, batch: Sequence[Small]) -> list[str | CastlineError]:
        """Answer a batch; raises what would fail every question alone too."""
        found: list[str | None] = [None] * len(batch)
        if len(batch) > 1:
            try:
                completion = await self._complete(together(self._provider, batch))
                found = told_apart(completion, len(batch))
            except BadReplyError:
                pass  # each question is asked alone
            except RefusedCallError as error:  # one of the questions may be why
                if is_about_key(error):
                    raise
        pairs = zip(batch, found, strict=True)
        return await asyncio.gather(*(self._answer(small, answer) for small, answer in pairs))

    async def _answer(self, small: Small, found: str | None) -> str | CastlineError:
        """Give the answer that was found, else ask alone; an error is this question's own."""
        if found is not None:
            return found
        try:
            return (await self._complete(alone(self._provider, small))).text.strip()
        except CastlineError as error:
            return error
