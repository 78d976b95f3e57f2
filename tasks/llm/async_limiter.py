"""A limiter for a program's own blocks: the gate's rules, in memory."""

from types import TracebackType
from typing import Self

from tasks.errors import BadInputError
from tasks.gate.gate import Gate
from tasks.gate.in_memory import MemoryRules
from tasks.schemas.limits import Granted, Limits

NAME = "limiter"


class AsyncLimiter:
    """Lets `async with` blocks begin in their order, on one loop.

    `at_once` of them are under way, and `per_minute` begin in any minute, paced (0: as they come).
    """

    def __init__(self, *, per_minute: int = 0, at_once: int = 20) -> None:
        """Raises BadInputError for numbers that are none of that."""
        if per_minute < 0:
            raise BadInputError(f"per_minute: {per_minute!r} is not a whole number from 0")
        if at_once < 1:
            raise BadInputError(f"at_once: {at_once!r} is not a whole number from 1")
        self._gate = Gate(MemoryRules(), {NAME: Limits(rpm=per_minute, slots=at_once)})
        self._held: list[Granted] = []  # one is as good as another

    @property
    def waiting(self) -> int:
        """How many blocks wait for their turn."""
        return self._gate.waiting(NAME)

    async def __aenter__(self) -> Self:
        self._held.append(await self._gate.acquire(NAME))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._gate.settle(self._held.pop())
